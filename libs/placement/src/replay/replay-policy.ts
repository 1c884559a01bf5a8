import type { ReplayCatalogue, ReplayRegions } from './replay-catalogue.js';
import type { ReplayShare } from './replay-share.js';

/** What a policy works on. Nothing in it tells what is to come, and of images only those that were pushed, or pulled, may be used. */
export interface ReplayWorld {
  readonly catalogue: ReplayCatalogue;
  readonly places: ReplayRegions;
  /** In the order of `places.regions`. */
  readonly shares: readonly ReplayShare[];
}

/** A pull, as it is seen by a policy. */
export interface SeenPull {
  readonly image: number;
  /** The number of the region's share; -1 at home. */
  readonly share: number;
  readonly client: string;
  readonly atMs: number;
}

/**
 * Decides what is on the shares. Called in the order of the events, and told of nothing before it happens. A policy changes shares through their methods only,
 * during its calls.
 */
export abstract class ReplayPolicy {
  /** What it is called. */
  abstract readonly name: string;

  /** An image was pushed; one that no event has pushed is told of with its pins and its first pull, as pushed when the history began. An image may be told of again. */
  abstract pushed(image: number, atMs: number): void;

  /** An image was pulled. Called after the pull was answered from what was there; what it brought may be kept at no cost. */
  abstract pulled(pull: SeenPull, isHit: boolean): void;

  /** An image was deleted: nobody may pull it any more. */
  abstract deleted(image: number, atMs: number): void;

  /** An operator pinned an image in a region; pins of one image may overlap. */
  abstract pinned(image: number, share: number, untilMs: number): void;

  /** Time has come to an instant; called before every event. */
  abstract passed(atMs: number): void;
}
