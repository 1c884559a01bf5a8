import type { RegionName } from '#regions';

import type { HeldList } from './held-list.js';
import type { GrantedLease } from './lease.js';

/** Leases of their own that pulls of the same replicas get in one window, before others share one. */
export const OWN_LEASES_MAX = 4;
/** Windows in the length of a lease: how much longer a shared lease may hold than the last pull that was given it needs. */
const WINDOWS_PER_TTL = 15;
/** Lists of replicas that are counted between two turns of generations at most, about 2 kB each: pulls of others get leases of their own. */
export const COUNTED_LISTS_MAX = 20_000;

/** What one pull is to be given. */
export interface LeaseTurn {
  /** The lease to share; undefined when one is to be made. */
  readonly lease: GrantedLease | undefined;
  /** Until when the one to be made will be shared; undefined when it is the pull's own. */
  readonly until: Date | undefined;
  /** Notes the shared lease that was made. */
  share(lease: GrantedLease): void;
}

interface Count {
  readonly untilMs: number;
  pulls: number;
  lease: GrantedLease | undefined;
}

type Counts = Map<string, Map<RegionName, Count>>;

/**
 * Decides which pulls share a lease, window by window: a fifteenth of a lease's length, one minute by default. In each window the first {@link OWN_LEASES_MAX} pulls of the same replicas
 * from the same region get leases of their own, which can be released, and all others one that only runs out. So one process makes at most
 * `OWN_LEASES_MAX + 1` leases for one image and region in a window, whatever the rate of pulls. The windows of different lists begin at different times: leases are made, and written, at an even rate.
 */
export class SharedLeases {
  readonly #windowMs: number;
  /** Until when counts are noted in the young generation, at least: a window's length, so that what is in the old one when it goes has had its window. */
  #turnsAtMs = 0;
  /** By list and region. A list's text is the same string each time where the list is, so that finding it does not read it again. */
  #young: Counts = new Map();
  #old: Counts = new Map();

  /** `ttlMs`: the length of a lease. */
  constructor(ttlMs: number) {
    this.#windowMs = ttlMs / WINDOWS_PER_TTL;
  }

  /**
   * Lets go of what had its window: to be called now and then, and not with a pull. What seldom runs within what runs always makes the engine give up what it has compiled of it, and pulls
   * wait then for tens of milliseconds.
   */
  turnGenerations(now: Date): void {
    const nowMs = now.getTime();
    const leftMs = this.#turnsAtMs - nowMs;
    if (leftMs > 0 && leftMs <= this.#windowMs) return;
    this.#turnsAtMs = nowMs + this.#windowMs;
    [this.#old, this.#young] = [this.#young, new Map()];
  }

  /** The turn of a pull at `now`. A clock that was set back begins a new window. */
  turn(region: RegionName, held: HeldList, now: Date): LeaseTurn {
    const counted = this.#countOf(held, region, now.getTime());
    counted.pulls += 1;
    return {
      lease: counted.lease,
      until: counted.pulls > OWN_LEASES_MAX ? new Date(counted.untilMs) : undefined,
      share: (lease) => {
        counted.lease = lease;
      },
    };
  }

  #countOf({ text, spread }: HeldList, region: RegionName, nowMs: number): Count {
    let regions = this.#young.get(text);
    if (regions === undefined) {
      regions = this.#old.get(text) ?? new Map<RegionName, Count>();
      if (this.#young.size < COUNTED_LISTS_MAX) this.#young.set(text, regions);
    }
    const known = regions.get(region);
    if (known !== undefined && nowMs < known.untilMs && known.untilMs - nowMs <= this.#windowMs) return known;
    const offsetMs = Math.floor(spread * this.#windowMs);
    const untilMs = (Math.floor((nowMs + offsetMs) / this.#windowMs) + 1) * this.#windowMs - offsetMs;
    const count: Count = { untilMs, pulls: 0, lease: undefined };
    regions.set(region, count);
    return count;
  }
}
