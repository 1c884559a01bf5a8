import type { RegionMap, RegionName } from '#regions';

import type { CallerNetwork } from './caller-networks.js';
import { blobFirstByteMs, mountFirstByteMs } from './first-byte.js';

/** A share, as far as the choice of one needs to know it. */
export interface PlacedShare {
  readonly name: string;
  readonly region: RegionName;
}

interface FarShare {
  readonly share: PlacedShare;
  readonly firstByteMs: number;
}

const NONE: readonly PlacedShare[] = [];

/** Round trips up to this many milliseconds count as near: mounting over them still beats downloading and unpacking. */
export const NEAR_ROUND_TRIP_MAX_MS = 10;

/** Far shares that are looked at for one layer, at most. */
export const FAR_SHARES_MAX = 4;

/** Which shares a pull from each region may be given, best first: computed once, for the configuration's regions and shares. */
export class NearShares {
  readonly #regions: RegionMap;
  readonly #shares: readonly PlacedShare[];
  readonly #byRegion: ReadonlyMap<RegionName, readonly PlacedShare[]>;
  readonly #farByRegion: ReadonlyMap<RegionName, readonly FarShare[]>;

  /** Shares in regions that `regions` does not have are left out. `nearRoundTripMaxMs` >= 0; 0 gives the caller's own region only. `farMounts`: whether there are far shares at all. */
  constructor(regions: RegionMap, shares: readonly PlacedShare[], nearRoundTripMaxMs = NEAR_ROUND_TRIP_MAX_MS, farMounts = false) {
    this.#regions = regions;
    this.#shares = shares.filter(({ region }) => regions.has(region));
    const from = (caller: RegionName): readonly PlacedShare[] => {
      const near = regions.regions.map((region) => region.name)
        .filter((name) => name === caller || regions.link(caller, name).roundTripMs <= nearRoundTripMaxMs);
      return regions.byNearness(caller, near).flatMap((name) =>
        shares.filter((share) => share.region === name).toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    };
    this.#byRegion = new Map(regions.regions.map(({ name }) => [name, from(name)]));
    const far = (caller: RegionName): FarShare[] => shares
      .filter((share) => regions.has(share.region) && this.#byRegion.get(caller)?.includes(share) === false)
      .map((share) => ({ share, firstByteMs: mountFirstByteMs(regions.link(share.region, caller)) }))
      .toSorted((a, b) => a.firstByteMs - b.firstByteMs || (a.share.name < b.share.name ? -1 : 1))
      .slice(0, FAR_SHARES_MAX);
    this.#farByRegion = new Map(farMounts ? regions.regions.map(({ name }) => [name, far(name)]) : []);
  }

  /**
   * The shares for a caller in `region`: those that its hosts have mounted, those in whose network it is, its own region's, then by nearness; undefined when there is no such region.
   * @param caller what its address says; undefined when that says nothing.
   */
  of(region: RegionName | undefined, caller?: CallerNetwork): readonly PlacedShare[] | undefined {
    const near = region === undefined ? undefined : this.#byRegion.get(region);
    if (near === undefined || caller === undefined) return near;
    const rank = ({ name }: PlacedShare): number => (caller.folders.has(name) ? 0 : caller.shares.has(name) ? 1 : 2);
    const beyond = this.#shares.filter((share) => caller.shares.has(share.name) && !near.includes(share));
    return [...near, ...beyond].toSorted((a, b) => rank(a) - rank(b));
  }

  /**
   * The far shares from which a mounted layer is expected to give a caller in `region` its first byte sooner than its blob of `sizeBytes`, pulled from the home region; the soonest first. Empty where
   * far mounts are not allowed.
   */
  farBeatingBlob(region: RegionName, sizeBytes: number): readonly PlacedShare[] {
    const far = this.#farByRegion.get(region);
    if (far === undefined || far.length === 0) return NONE;
    const blobMs = blobFirstByteMs(sizeBytes, this.#regions.link(this.#regions.home, region));
    return far.filter(({ firstByteMs }) => firstByteMs < blobMs).map(({ share }) => share);
  }

  /** How long a copy of `sizeBytes` from the home region takes at best, in milliseconds. */
  copyFromHomeMs(region: RegionName, sizeBytes: number): number {
    return (sizeBytes / this.#regions.link(this.#regions.home, region).throughputBytesPerSecond) * 1000;
  }
}
