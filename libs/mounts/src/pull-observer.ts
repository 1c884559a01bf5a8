import type { Digest } from '#oci';
import type { RegionName } from '#regions';

/** One pull that was answered: what demand is counted from. */
export interface ObservedPull {
  readonly region: RegionName;
  readonly repository: string;
  /** The image manifest whose layers were answered. */
  readonly image: Digest;
  /** Who pulls, as far as the transport knows: tells repeated pulls of one node apart. */
  readonly client?: string | undefined;
  readonly at: Date;
}

/** Hears of every answered pull of which some layer was wanted. */
export abstract class PullObserver {
  /** Returns at once: it is called within the answer. */
  abstract observed(pull: ObservedPull): void;
}
