import { z } from 'zod';

import { pageOf } from './page.js';
import { Bytes, Code, Count, DigestText, Id, Instant, RegionText, REGIONS_MAX, RepositoryName } from './words.js';

/** Decisions of one plan that are shown; their number is told in full. */
export const PLAN_DECISIONS_MAX = 2000;
/** Images of one plan of which the forecast is shown. */
const FORECASTS_MAX = 1000;
/** Plans of a region whose outcome is shown at a time. */
export const OUTCOMES_MAX = 30;
/** Images of each kind named in one comparison. */
const COMPARED_MAX = 500;
/** Parameters named in one comparison: more than there are. */
const PARAMETERS_MAX = 100;
/** Pins named in one plan. */
const UNRESOLVED_PINS_MAX = 1000;

const image = { repository: RepositoryName, digest: DigestText };
/** Repositories for which one plan was made alone. */
const REPOSITORIES_MAX = 1000;
/** What a rehearsal may take a share's capacity for: no file share has more. */
const CAPACITY_MAX = 2 ** 48;

/** An image that another one is named by. */
const OtherImages = z.array(z.object(image)).max(10);

/** What a plan decided about one image, and the numbers behind it. */
export const DecisionBody = z
  .object({
    ...image,
    verdict: z.enum(['pinned', 'placed', 'kept', 'refused', 'unmet']),
    reason: Code,
    expectedPulls: z.number().min(0).meta({ description: 'In this region, within the horizon; the sum of the next three, as far as they are there.' }),
    ownPulls: z.number().min(0),
    inheritedPulls: z.number().min(0).meta({ description: "Expected because of pulls of the repository's other images." }),
    elsewherePulls: z.number().min(0).optional().meta({ description: 'Expected because of pulls in other regions. Absent in plans of earlier versions, as are the next three.' }),
    probability: z.number().min(0).max(1).optional().meta({ description: 'That it is pulled at all.' }),
    lowPulls: z.number().min(0).optional().meta({ description: 'Nine times of ten the pulls come to lie between this and the next.' }),
    highPulls: z.number().min(0).optional(),
    imageBytes: Bytes,
    marginalBytes: Bytes.meta({ description: 'What it adds to what is there.' }),
    pullsPerGiB: z.number().min(0).optional(),
    rank: Count.optional().meta({ description: 'Its turn, from 1.' }),
    usedBytesAfter: Bytes.optional(),
    missingBytes: Bytes.optional().meta({ description: 'How much more the share would need.' }),
    missingPulls: z.number().min(0).optional().meta({ description: 'How many more expected pulls it would need.' }),
    copyUsd: z.number().min(0).optional().meta({ description: 'What copying what it adds costs, at the price of the link from home.' }),
    pinId: Id.optional(),
    waitsFor: Code.optional().meta({ description: 'The budget of the day for which what it lacks waits: `BUDGET_LINK_DAY` or `BUDGET_MONEY_DAY`.' }),
    waitsForBytes: Bytes.optional().meta({ description: 'How many bytes more that budget would have to carry.' }),
    isEvicted: z.boolean().optional().meta({ description: 'It was wholly there, and some of its layers go.' }),
    displaced: OtherImages.optional().meta({ description: 'What was there and gave way to it; a few.' }),
    displacedBy: OtherImages.optional().meta({ description: 'What took the room that it lacked; a few.' }),
  })
  .meta({ description: 'What was decided about one image, and why.' });

const ratio = z.number().min(0).max(1);
/** The parameters of plans that a rehearsal may change. */
const changeable = {
  minimumExpectedPulls: z.number().min(0).max(1e6).optional().meta({ description: 'How many times the bytes that it adds the pulls of an image have to save, with what a hit is worth besides.' }),
  leastExpectedPulls: z.number().min(0).max(1e6).optional().meta({ description: 'Pulls without which no image is copied, however little it adds.' }),
  hitImages: z.number().min(0).max(1000).optional().meta({ description: 'What a pull that finds its image there is worth besides the bytes that it saves, in images of the usual size.' }),
  keepRatio: ratio.optional().meta({ description: 'The part of what it needs to come down to which an image stays; 0 until its room is needed.' }),
  heldBytesRatio: z.number().min(0.001).max(1).optional().meta({ description: 'What a byte that is there counts for, against one that has to be copied.' }),
  gigabyteWeight: z.number().min(0).max(1000).optional().meta({ description: 'What a gigabyte of an image adds to the worth of each of its pulls.' }),
  firstPullWeight: z.number().min(0).max(1000).optional().meta({ description: 'What the first pull of an image counts besides where it was never pulled.' }),
  smallLayersRatio: ratio.optional().meta({ description: 'The part of a share for small layers of all images.' }),
  reactiveRatio: z.number().min(0).max(0.5).optional().meta({ description: 'The part of a share for what passes through its region’s gateway.' }),
  switchGainRatio: z.number().min(0).max(100).optional().meta({ description: 'By how much what comes has to be worth more than what goes.' }),
};
/** All of them. Each may lack: plans of an earlier version went by fewer. */
const parameters = {
  ...changeable,
  horizonMs: Count.optional().meta({ description: 'How far ahead pulls are expected.' }),
  smallLayerBytes: Bytes.optional().meta({ description: 'Layers smaller than this are wanted of all images.' }),
};

const summary = {
  id: Id,
  region: RegionText,
  plannedAt: Instant,
  trigger: z.enum(['schedule', 'push', 'demand', 'pin', 'operator']).meta({ description: 'What made this plan be made.' }),
  repositories: z.array(RepositoryName).max(REPOSITORIES_MAX).optional().meta({ description: 'The only repositories that were planned for; absent where all were.' }),
  orderedAt: Instant.optional().meta({ description: 'When the last of its orders had been given; absent while that goes on, and for good when its planner ended in the middle: a later plan orders what is lacking.' }),
  terms: z
    .object({
      horizonMs: Count, breakEvenPulls: z.number().min(0), keepPulls: z.number().min(0),
      parameters: z.object(parameters).optional().meta({ description: 'Everything by which it weighed, under the names that a dry run takes; absent from plans of earlier versions.' }),
    })
    .optional()
    .meta({ description: 'What it went by: how far ahead pulls are expected, from how many on a copy is worth its bytes where every byte is new, and down to how many it stays. What a hit is worth besides is among `parameters`; how many pulls one image lacks is its `missingPulls`.' }),
  capacityBytes: Bytes,
  usedBytes: Bytes.meta({ description: 'Of all layers that should be there, and of the merged views of the images that are whole.' }),
  forcedBytes: Bytes.meta({ description: 'Of what cannot go now; part of `usedBytes`.' }),
  drainingBytes: Bytes,
  counts: z
    .object({ pinned: Count, placed: Count, kept: Count, refused: Count, unmet: Count, wants: Count, drains: Count, withdrawals: Count })
    .meta({ description: 'Decisions by verdict, and what was ordered: replicas of layers and merged views to copy, to drain, and no longer to copy.' }),
  unresolvedPins: z.array(Id).max(UNRESOLVED_PINS_MAX).meta({ description: 'Pins that mean no image that could be placed: unknown, or not expanded yet.' }),
};

/** A plan without its decisions. */
export const PlanSummaryBody = z.object(summary).meta({ description: 'A plan of one region, without its decisions.' });

/** A region's plans, the newest first. */
export const PlanPage = pageOf(PlanSummaryBody);


/** A plan of one region. */
export const PlanBody = z
  .object({
    ...summary,
    decisions: z.array(DecisionBody).max(PLAN_DECISIONS_MAX).meta({ description: 'Chosen images in the order of their turns, then the others.' }),
    decisionsOmittedCount: Count.meta({ description: 'Decisions that are not kept: refused images with the least demand.' }),
  })
  .meta({ description: 'What should be in one region, why, and what was ordered for it.' });

const BeforeAndAfter = z.object({ before: z.number().min(0), after: z.number().min(0) });
const ComparedImages = z.array(z.object({ ...image, before: DecisionBody.optional(), after: DecisionBody.optional() })).max(COMPARED_MAX);

/** What another plan does otherwise. */
export const PlanComparisonBody = z
  .object({
    region: RegionText,
    capacityBytes: BeforeAndAfter,
    usedBytes: BeforeAndAfter,
    parameters: z
      .array(z.object({ name: z.string().max(100), before: z.number().optional(), after: z.number().optional() }))
      .max(PARAMETERS_MAX)
      .meta({ description: 'Every parameter of which they do not tell the same; a side is absent where that plan, of an earlier version, does not tell.' }),
    servedPulls: BeforeAndAfter.meta({ description: 'Pulls expected of the images that are there by the plan.' }),
    comes: ComparedImages.meta({ description: 'Images that are there by the second plan alone, the most pulled first.' }),
    goes: ComparedImages,
    otherwise: ComparedImages.meta({ description: 'There or away by both, for another reason.' }),
    counts: z.object({ comes: Count, goes: Count, otherwise: Count, same: Count }).meta({ description: 'How many images of each kind there are, named or not.' }),
  })
  .meta({ description: 'What the second of two plans of one region does otherwise.' });

const outcome = {
  planId: Id,
  region: RegionText,
  plannedAt: Instant,
  until: Instant.meta({ description: 'When the time is over that the plan looked ahead.' }),
  passedRatio: ratio.meta({ description: 'The part of that time that has passed.' }),
  expectedSoFar: z.number().min(0).meta({ description: "Pulls that were expected by now, by the rhythm of the region's week." }),
  pulls: z.number().min(0).meta({ description: 'Pulls that came by now, or until the end of that time.' }),
  deviations: z.number().meta({ description: 'By how many deviations more came than expected by now, or fewer: from three on a plan is made at once.' }),
  weightedError: z.number().min(0).optional().meta({ description: "By how much the images' forecasts are wrong altogether, in parts of what came; absent where nothing came." }),
};

/** What came of a plan's forecasts. */
export const PlanOutcomeBody = z
  .object({ ...outcome, images: z.array(z.object({ ...image, expectedPulls: z.number().min(0), expectedSoFar: z.number().min(0), pulls: z.number().min(0), deviations: z.number() })).max(FORECASTS_MAX).meta({ description: 'The most pulled by expectation first.' }) })
  .meta({ description: 'What a plan expected of its images, and what came.' });

/** What came of the forecasts of a region's plans. */
export const PlanOutcomeList = z.object({ items: z.array(z.object(outcome)).max(OUTCOMES_MAX) });

/** What a rehearsal changes. */
export const DryRunRequest = z
  .strictObject({
    regions: z.array(RegionText).min(1).max(REGIONS_MAX).optional().meta({ description: 'Of which regions to answer; of all where it is absent.' }),
    capacityBytes: z.record(RegionText, z.int().min(0).max(CAPACITY_MAX)).optional().meta({ description: 'What the shares of these regions may hold.' }),
    budgets: z
      .strictObject({
        bytesPerLinkDay: z.int().min(1).optional().meta({ description: 'What each link may carry in a day; `replication.bytesPerLinkDay`.' }),
        usdPerDay: z.number().min(0).max(1e9).optional().meta({ description: 'What all copies of a day may cost; `placement.usdPerDay`.' }),
        pushReserveRatio: z.number().min(0).max(0.9).optional().meta({ description: 'The part of both that is kept for what was just pushed; `placement.pushReserveRatio`.' }),
      })
      .optional()
      .meta({ description: 'What may travel on the day. What has travelled today, and what is on its way, counts as it is.' }),
    parameters: z.strictObject(changeable).optional(),
  })
  .meta({ description: 'What should be taken to be otherwise; everything else is as it is.' });

/** What a region's plan would be. */
export const DryRunBody = z
  .object({
    at: Instant,
    items: z
      .array(
        PlanComparisonBody.extend({
          copyBytes: BeforeAndAfter.meta({ description: 'Bytes that each plan would have copied, as far as the budgets of the day go.' }),
          copyUsd: BeforeAndAfter.meta({ description: 'And what that costs, at the price of the link from home.' }),
          drainBytes: BeforeAndAfter,
          waitingImages: BeforeAndAfter.meta({ description: 'Images of each plan for which a budget of the day leaves too little: their `waitsFor` says which.' }),
        }),
      )
      .max(REGIONS_MAX),
  })
  .meta({ description: 'By region, the plan as things are against the plan with the changes, of the same facts. Nothing was ordered or kept.' });

/** The latest plan of every region that has one. */
export const PlanList = z.object({ items: z.array(PlanBody).max(REGIONS_MAX) });

/** What asking for a plan answers: it is made meanwhile. */
export const PlanAsked = z.object({ accepted: z.literal(true) }).meta({ description: 'A plan is being made.' });

/** See {@link PlanAsked}. */
export type PlanAsked = z.infer<typeof PlanAsked>;
/** See {@link DecisionBody}. */
export type DecisionBody = z.infer<typeof DecisionBody>;
/** See {@link PlanBody}. */
export type PlanBody = z.infer<typeof PlanBody>;
/** See {@link PlanList}. */
export type PlanList = z.infer<typeof PlanList>;
/** See {@link PlanSummaryBody}. */
export type PlanSummaryBody = z.infer<typeof PlanSummaryBody>;
/** See {@link PlanComparisonBody}. */
export type PlanComparisonBody = z.infer<typeof PlanComparisonBody>;
/** See {@link DryRunRequest}. */
export type DryRunRequest = z.infer<typeof DryRunRequest>;
/** See {@link DryRunBody}. */
export type DryRunBody = z.infer<typeof DryRunBody>;
/** See {@link PlanOutcomeBody}. */
export type PlanOutcomeBody = z.infer<typeof PlanOutcomeBody>;
