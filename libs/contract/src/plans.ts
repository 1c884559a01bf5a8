import { z } from 'zod';

import { Bytes, Code, Count, DigestText, Id, Instant, RegionText, REGIONS_MAX, RepositoryName } from './words.js';

/** Decisions of one plan that are shown; their number is told in full. */
export const PLAN_DECISIONS_MAX = 2000;
/** Pins named in one plan. */
const UNRESOLVED_PINS_MAX = 1000;

const image = { repository: RepositoryName, digest: DigestText };

/** What a plan decided about one image, and the numbers behind it. */
export const DecisionBody = z
  .object({
    ...image,
    verdict: z.enum(['pinned', 'placed', 'kept', 'refused', 'unmet']),
    reason: Code,
    expectedPulls: z.number().min(0).meta({ description: 'In this region, within the horizon; the sum of the next two.' }),
    ownPulls: z.number().min(0),
    inheritedPulls: z.number().min(0).meta({ description: "Expected because of pulls of the repository's other images." }),
    imageBytes: Bytes,
    marginalBytes: Bytes.meta({ description: 'What it adds to what is there.' }),
    pullsPerGiB: z.number().min(0).optional(),
    rank: Count.optional().meta({ description: 'Its turn, from 1.' }),
    usedBytesAfter: Bytes.optional(),
    missingBytes: Bytes.optional().meta({ description: 'How much more the share would need.' }),
    missingPulls: z.number().min(0).optional().meta({ description: 'How many more expected pulls it would need.' }),
    pinId: Id.optional(),
  })
  .meta({ description: 'What was decided about one image, and why.' });

/** The latest plan of one region. */
export const PlanBody = z
  .object({
    region: RegionText,
    plannedAt: Instant,
    trigger: z.enum(['schedule', 'push', 'demand', 'pin', 'operator']).meta({ description: 'What made this plan be made.' }),
    capacityBytes: Bytes,
    usedBytes: Bytes.meta({ description: 'Of all layers that should be there, and of the merged views of the images that are whole.' }),
    forcedBytes: Bytes.meta({ description: 'Of what cannot go now; part of `usedBytes`.' }),
    drainingBytes: Bytes,
    counts: z
      .object({ pinned: Count, placed: Count, kept: Count, refused: Count, unmet: Count, wants: Count, drains: Count, withdrawals: Count })
      .meta({ description: 'Decisions by verdict, and what was ordered: replicas of layers and merged views to copy, to drain, and no longer to copy.' }),
    decisions: z.array(DecisionBody).max(PLAN_DECISIONS_MAX).meta({ description: 'Chosen images in the order of their turns, then the others.' }),
    decisionsOmittedCount: Count.meta({ description: 'Decisions that are not kept: refused images with the least demand.' }),
    unresolvedPins: z.array(Id).max(UNRESOLVED_PINS_MAX).meta({ description: 'Pins that mean no image that could be placed: unknown, or not expanded yet.' }),
  })
  .meta({ description: 'What should be in one region, why, and what was ordered for it.' });

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
