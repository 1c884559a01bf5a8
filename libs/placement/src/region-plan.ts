import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import type { ImageName } from './region-facts.js';
import type { WaitReason } from './transfer-budget.js';

/**
 * What a plan decided about an image: `pinned` and there or on its way; `placed`: some layer has to be copied; `kept`: none has to;
 * `refused`; `unmet`: pinned, and does not fit.
 */
export type Verdict = 'pinned' | 'placed' | 'kept' | 'refused' | 'unmet';

/**
 * Why. `DEMAND`: mostly its own pulls; `REPOSITORY_DEMAND`: mostly pulls of its repository's other images; `DEMAND_ELSEWHERE`: mostly pulls in other regions; `HELD_DEMAND`: too few to come, enough to
 * stay; `FEW_NEW_BYTES`: too few for all of its bytes, enough for those that it adds; `RECENT_PULLS`: it was pulled lately; `LAYERS_SHARED`: all of its layers are there for others; `LAYERS_HELD`: its layers cannot go now (leased, copying, last ready);
 * `NOTHING_TO_STORE`: it has no bytes; `HOME_REGION`: expanded there, and brought back where it is lacking.
 */
export type DecisionReason =
  | 'PIN' | 'DEMAND' | 'REPOSITORY_DEMAND' | 'DEMAND_ELSEWHERE' | 'HELD_DEMAND' | 'FEW_NEW_BYTES' | 'RECENT_PULLS' | 'LAYERS_SHARED' | 'LAYERS_HELD' | 'NOTHING_TO_STORE' | 'HOME_REGION'
  | 'NO_DEMAND' | 'DEMAND_TOO_SMALL' | 'OVER_CAPACITY' | 'PIN_OVER_CAPACITY';

/** What was expected of an image when a plan was made; see `ImageForecast`. */
export interface DecidedForecast {
  /** Pulls expected in this region within the horizon; the sum of the next three. */
  readonly expectedPulls: number;
  readonly ownPulls: number;
  readonly inheritedPulls: number;
  readonly elsewherePulls: number;
  readonly probability: number;
  readonly lowPulls: number;
  readonly highPulls: number;
}

/** What was decided about one image, and the numbers behind it. */
export interface PlacementDecision extends ImageName, DecidedForecast {
  readonly verdict: Verdict;
  readonly reason: DecisionReason;
  /** All of its layers; its merged view, some hundred bytes for each of its files, is counted only in what the plan uses in all. */
  readonly imageBytes: number;
  /** What it adds to the layers that are there before it; for a refused image, to all that were chosen. */
  readonly marginalBytes: number;
  /** Expected pulls for each GiB that it adds; absent when it adds nothing. */
  readonly pullsPerGiB?: number;
  /** Its turn, from 1: pins first, then by density. Absent when refused or unmet. */
  readonly rank?: number;
  /** Bytes chosen once its turn was over. Absent when refused or unmet. */
  readonly usedBytesAfter?: number;
  /** How many bytes more the share would need. */
  readonly missingBytes?: number;
  /** How many expected pulls more it would need. */
  readonly missingPulls?: number;
  /** The pin that decided. */
  readonly pinId?: string;
  /** The budget of the day for which what it lacks waits, and how many bytes it is short of. */
  readonly waitsFor?: WaitReason;
  readonly waitsForBytes?: number;
  /** True when it was wholly there, and some of its layers go. */
  readonly isEvicted?: boolean;
  /** What was there and gave way to it, and what took the room that it lacked; a few of each. */
  readonly displaced?: readonly ImageName[];
  readonly displacedBy?: readonly ImageName[];
}

/** A layer, or a merged view, that has to be copied to the region, or be copied at another turn. */
export interface WantedReplica {
  readonly layer: Digest;
  readonly sizeBytes: number;
  /** Higher first. All layers that an image adds have the image's priority or a higher one, so that images finish one after the other. */
  readonly priority: number;
  /** The image for whose sake it is copied. */
  readonly image: ImageName;
  /** True for the merged view of that image; absent for a layer. */
  readonly isView?: true;
}

/** Why a replica goes: images have it but none is placed here, or no image has it. */
export type RemovalReason = 'NOT_WANTED' | 'NOT_REFERENCED';

/** A replica that nobody wants here any more. */
export interface UnwantedReplica {
  readonly layer: Digest;
  readonly sizeBytes: number;
  readonly reason: RemovalReason;
}

/** What has to be done in one region. */
export interface RegionOrders {
  readonly region: RegionName;
  readonly capacityBytes: number;
  /** Bytes of all layers that should be there. At most the capacity, unless what cannot go is more than that already. */
  readonly usedBytes: number;
  /** Bytes of what cannot go: leased, copying, last ready, within its grace time. Part of `usedBytes`. */
  readonly forcedBytes: number;
  /** Bytes of small layers that are there for no image in particular. Part of `usedBytes`, none of `forcedBytes`. */
  readonly smallLayerBytes: number;
  /** Bytes that are on their way out and still take room: a copy waits for them where both do not fit. */
  readonly drainingBytes: number;
  /** The most urgent first. */
  readonly wants: readonly WantedReplica[];
  /** What passed through the region's gateway and is wanted for more than the reactive window: nothing is copied, but from now on it was ordered. */
  readonly adoptions: readonly WantedReplica[];
  /** Ready replicas to remove: never leased, pinned or the last ready one. */
  readonly drains: readonly UnwantedReplica[];
  /** Replicas that were wanted, are not being copied yet, and need not be copied any more. */
  readonly withdrawals: readonly UnwantedReplica[];
}

/** What should be in one region, why, and what has to be done for it. */
export interface RegionPlan extends RegionOrders {
  /** One for each image: those chosen in the order of their turns, then unmet ones, then refused ones by their expected pulls. */
  readonly decisions: readonly PlacementDecision[];
  /** Bytes of parts that images share and that are worth their room by themselves: images add only what they have besides. Part of `usedBytes`, none of `forcedBytes` and `smallLayerBytes`. */
  readonly partBytes: number;
  /** Bytes of layers that passed through the region's gateway and stay although every image that has them lacks others. Part of `usedBytes`, none of those before. */
  readonly partialBytes: number;
}

/** True when nothing has to be done. */
export function isEmptyPlan(plan: Pick<RegionPlan, 'wants' | 'adoptions' | 'drains' | 'withdrawals'>): boolean {
  return plan.wants.length === 0 && plan.adoptions.length === 0 && plan.drains.length === 0 && plan.withdrawals.length === 0;
}
