import type { RegionMap, RegionName } from '#regions';

/** A share, as far as the choice of one needs to know it. */
export interface PlacedShare {
  readonly name: string;
  readonly region: RegionName;
}

/** Round trips up to this many milliseconds count as near: mounting over them still beats downloading and unpacking. */
export const NEAR_ROUND_TRIP_MAX_MS = 10;

/** Which shares a pull from each region may be given, best first: computed once, for the configuration's regions and shares. */
export class NearShares {
  readonly #regions: RegionMap;
  readonly #byRegion: ReadonlyMap<RegionName, readonly PlacedShare[]>;

  /** Shares in regions that `regions` does not have are left out. `nearRoundTripMaxMs` >= 0; 0 gives the caller's own region only. */
  constructor(regions: RegionMap, shares: readonly PlacedShare[], nearRoundTripMaxMs = NEAR_ROUND_TRIP_MAX_MS) {
    this.#regions = regions;
    const from = (caller: RegionName): readonly PlacedShare[] => {
      const near = regions.regions.map((region) => region.name)
        .filter((name) => name === caller || regions.link(caller, name).roundTripMs <= nearRoundTripMaxMs);
      return regions.byNearness(caller, near).flatMap((name) =>
        shares.filter((share) => share.region === name).toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    };
    this.#byRegion = new Map(regions.regions.map(({ name }) => [name, from(name)]));
  }

  /** The shares for a caller in `region`: its own region's first, then by nearness; undefined when there is no such region. */
  of(region: RegionName | undefined): readonly PlacedShare[] | undefined {
    return region === undefined ? undefined : this.#byRegion.get(region);
  }

  /** How long a copy of `sizeBytes` from the home region takes at best, in milliseconds. */
  copyFromHomeMs(region: RegionName, sizeBytes: number): number {
    return (sizeBytes / this.#regions.link(this.#regions.home, region).throughputBytesPerSecond) * 1000;
  }
}
