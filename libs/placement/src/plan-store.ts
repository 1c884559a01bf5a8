import type { WriteFence } from '#claims';
import type { RegionName } from '#regions';

import { PLACEMENT_PARAMETERS_DEFAULT, type PlacementParameters } from './region-facts.js';
import type { PlacementDecision, RegionPlan } from './region-plan.js';

/** What made a plan be made. */
export type PlanTriggerKind = 'schedule' | 'push' | 'demand' | 'pin' | 'operator';

/** How many of each there are in a plan. */
export interface PlanCounts {
  readonly pinned: number;
  readonly placed: number;
  readonly kept: number;
  readonly refused: number;
  readonly unmet: number;
  readonly wants: number;
  readonly drains: number;
  readonly withdrawals: number;
}

/** What a plan went by. */
export interface PlanTerms {
  /** How far it looked ahead: pulls are expected within so long. */
  readonly horizonMs: number;
  /** An image of which every byte is new is copied when at least so many pulls are expected of it: from there on a copy is worth its bytes. One that adds a part of its bytes needs that part, and all need the fewer the more a hit is worth besides (`hitImages`). */
  readonly breakEvenPulls: number;
  /** And stays as long as so many are. */
  readonly keepPulls: number;
  /** Everything by which it weighed. Absent from plans of an earlier version; a plan that was made before there was some parameter lacks that one. */
  readonly parameters?: Partial<PlacementParameters>;
}

/** A plan of one region as it is kept, without its decisions. */
export interface PlanSummary {
  /** A UUID. */
  readonly id: string;
  readonly region: RegionName;
  readonly madeAt: Date;
  readonly trigger: PlanTriggerKind;
  /** Absent from plans of an earlier version. */
  readonly terms?: PlanTerms;
  /** The only repositories that were planned for, in ascending order; everything else was left as it was. Absent where all were. */
  readonly repositories?: readonly string[];
  /** When the last of its orders had been handed over. Absent while that goes on, and for good when its planner ended in the middle: a later plan orders what is lacking. */
  readonly orderedAt?: Date;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly forcedBytes: number;
  readonly drainingBytes: number;
  readonly counts: PlanCounts;
  /** Ids of this region's pins that meant no image that could be placed; at most {@link UNRESOLVED_PINS_STORED_MAX}. */
  readonly unresolvedPins: readonly string[];
}

/** A plan of one region as it is kept. */
export interface StoredPlan extends PlanSummary {
  /** In the plan's order; at most {@link DECISIONS_STORED_MAX}, so that those left out are the refused ones with the least demand. */
  readonly decisions: readonly PlacementDecision[];
  /** How many were left out. */
  readonly decisionsOmittedCount: number;
}

/** Decisions kept of one plan: about 600 KB. */
export const DECISIONS_STORED_MAX = 2000;
/** Pins without an image named in one plan. */
export const UNRESOLVED_PINS_STORED_MAX = 1000;
/** All parameters of plans. */
export const PARAMETER_NAMES = Object.keys(PLACEMENT_PARAMETERS_DEFAULT) as readonly (keyof PlacementParameters)[];
/** Plans on one page. */
export const PLAN_PAGE_MAX = 200;

/** Where a page of plans ended. */
export interface PlanCursor {
  readonly madeAt: Date;
  readonly id: string;
}

/** Which plans to list. */
export interface PlanQuery {
  readonly region: RegionName;
  /** Only older ones; from the page before. */
  readonly before?: PlanCursor;
  /** From 1 to {@link PLAN_PAGE_MAX}. */
  readonly limit: number;
}

/** Some plans, the newest first. */
export interface PlanPage {
  readonly plans: readonly PlanSummary[];
  /** Present when there may be more. */
  readonly next?: PlanCursor;
}

/**
 * Keeps the plans that tell something, for operators who ask why: those that ordered anything, that decided otherwise than the one kept before, or that
 * were asked for by the clock, a pin or an operator. So a region's newest plan kept for all repositories is what holds, whatever pushes were looked at since.
 *
 * When a plan was made and ordered is kept by one clock, as claims are: of a planner's own only how long ago each was counts, so that the newest is the one that was made last.
 */
export abstract class PlanStore {
  /** Keeps a plan; repeating it under its id changes nothing. Once `fence` is lost nothing is kept, and its error is thrown. */
  abstract save(plan: StoredPlan, now: Date, fence?: WriteFence): Promise<void>;

  /** Notes that all orders of a plan were handed over now; the first note stays. Guarded as `save`. */
  abstract ordered(id: string, now: Date, fence?: WriteFence): Promise<void>;

  /** A region's newest plan kept, of those for all repositories. */
  abstract latest(region: RegionName): Promise<StoredPlan | undefined>;

  /** One plan, with its decisions. */
  abstract get(id: string): Promise<StoredPlan | undefined>;

  /** A region's plans without their decisions, by the time they were made and then their id, both descending. */
  abstract history(query: PlanQuery): Promise<PlanPage>;

  /** Forgets all but the newest `keep` plans of every region, and as many of those for some repositories alone. @returns how many went. */
  abstract prune(keep: number): Promise<number>;
}

/** A plan as it is kept. */
export function storedPlan(
  plan: RegionPlan,
  made: Pick<PlanSummary, 'id' | 'madeAt' | 'trigger' | 'unresolvedPins' | 'repositories' | 'terms'>,
): StoredPlan {
  const { region, capacityBytes, usedBytes, forcedBytes, drainingBytes, decisions } = plan;
  const stored = decisions.slice(0, DECISIONS_STORED_MAX);
  return {
    ...made,
    unresolvedPins: made.unresolvedPins.slice(0, UNRESOLVED_PINS_STORED_MAX),
    region, capacityBytes, usedBytes, forcedBytes, drainingBytes,
    counts: countPlan(plan),
    decisions: stored,
    decisionsOmittedCount: decisions.length - stored.length,
  };
}

/** What plans with these parameters go by. */
export function termsOf(parameters: PlacementParameters): PlanTerms {
  const { horizonMs, minimumExpectedPulls, keepRatio } = parameters;
  // Whatever else the object has is no parameter of plans.
  const named = Object.fromEntries(PARAMETER_NAMES.map((name) => [name, parameters[name]])) as Record<keyof PlacementParameters, number>;
  return { horizonMs, breakEvenPulls: minimumExpectedPulls, keepPulls: minimumExpectedPulls * keepRatio, parameters: named };
}

/** The parameters that are told by what a plan went by: of plans of an earlier version two, or none. */
export function parametersTold(terms: PlanTerms | undefined): Partial<PlacementParameters> {
  if (terms === undefined) return {};
  return terms.parameters ?? { horizonMs: terms.horizonMs, minimumExpectedPulls: terms.breakEvenPulls };
}

/** True when both decide the same of every image, and know the same pins as without an image. Numbers, which change with every minute, do not count. */
export function decidesTheSame(a: StoredPlan, b: StoredPlan): boolean {
  const verdicts = (plan: StoredPlan): string => plan.decisions.map((of) => `${of.repository} ${of.digest} ${of.verdict}`).toSorted().join();
  const pins = (plan: StoredPlan): string => [...plan.unresolvedPins].toSorted().join();
  return a.decisionsOmittedCount === b.decisionsOmittedCount && pins(a) === pins(b) && verdicts(a) === verdicts(b);
}

function countPlan(plan: RegionPlan): PlanCounts {
  const verdicts = { pinned: 0, placed: 0, kept: 0, refused: 0, unmet: 0 };
  for (const { verdict } of plan.decisions) verdicts[verdict] += 1;
  return { ...verdicts, wants: plan.wants.length, drains: plan.drains.length, withdrawals: plan.withdrawals.length };
}
