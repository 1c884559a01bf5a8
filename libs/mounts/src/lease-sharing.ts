import type { RegionName } from '#regions';

import type { HeldReplica, Lease } from './lease.js';

/** Leases of their own that pulls of the same replicas get in one window, before others share one. */
export const OWN_LEASES_MAX = 4;
/** Windows in the length of a lease: how much longer a shared lease may hold than the last pull that was given it needs. */
const WINDOWS_PER_TTL = 15;
/** Lists of replicas that are counted in one window at most, about 2 kB each: pulls of others get leases of their own. */
export const COUNTED_LISTS_MAX = 20_000;

/** What one pull is to be given. */
export interface LeaseTurn {
  /** The lease to share; undefined when one is to be made. */
  readonly lease: Lease | undefined;
  /** Until when the one to be made will be shared; undefined when it is the pull's own. */
  readonly until: Date | undefined;
  /** Notes the shared lease that was made. */
  share(lease: Lease): void;
}

interface Count {
  pulls: number;
  lease: Lease | undefined;
}

/**
 * Decides which pulls share a lease, window by window: a fifteenth of a lease's length, one minute by default. In each window the first {@link OWN_LEASES_MAX} pulls of the same replicas
 * from the same region get leases of their own, which can be released, and all others one that only runs out. So one process makes at most
 * `OWN_LEASES_MAX + 1` leases for one image and region in a window, whatever the rate of pulls.
 */
export class SharedLeases {
  readonly #windowMs: number;
  #until = new Date(0);
  /** By list and region. A list's text is the same string each time where the list is, so that finding it does not read it again. */
  #counts = new Map<string, Map<RegionName, Count>>();
  /** The texts of lists that are given again and again, such as those of prepared answers. */
  readonly #texts = new WeakMap<readonly HeldReplica[], string>();

  /** `ttlMs`: the length of a lease. */
  constructor(ttlMs: number) {
    this.#windowMs = ttlMs / WINDOWS_PER_TTL;
  }

  /** The turn of a pull at `now`. A clock that was set back begins a new window. */
  turn(region: RegionName, replicas: readonly HeldReplica[], now: Date): LeaseTurn {
    const leftMs = this.#until.getTime() - now.getTime();
    if (leftMs <= 0 || leftMs > this.#windowMs) {
      this.#until = new Date(now.getTime() + this.#windowMs);
      this.#counts = new Map();
    }
    const text = this.#textOf(replicas);
    let regions = this.#counts.get(text);
    if (regions === undefined) {
      regions = new Map();
      if (this.#counts.size < COUNTED_LISTS_MAX) this.#counts.set(text, regions);
    }
    let count = regions.get(region);
    if (count === undefined) {
      count = { pulls: 0, lease: undefined };
      regions.set(region, count);
    }
    count.pulls += 1;
    const counted = count;
    return {
      lease: counted.lease,
      until: counted.pulls > OWN_LEASES_MAX ? this.#until : undefined,
      share: (lease) => {
        counted.lease = lease;
      },
    };
  }

  #textOf(replicas: readonly HeldReplica[]): string {
    let text = this.#texts.get(replicas);
    if (text === undefined) {
      text = replicas.map(({ layer, share }) => `${share} ${layer}`).join('\n');
      this.#texts.set(replicas, text);
    }
    return text;
  }
}
