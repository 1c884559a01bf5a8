import type { Region, RegionLink, RegionName } from './region.js';

/** The regions of one deployment and the links between them: immutable, from the configuration. */
export class RegionMap {
  /** In the order of the configuration. */
  readonly regions: readonly Region[];
  /** Where pushed layers are expanded first; one of `regions`. */
  readonly home: RegionName;
  readonly #links: ReadonlyMap<string, RegionLink>;
  readonly #defaultLink: Omit<RegionLink, 'from' | 'to'>;

  /** `defaultLink` stands for every pair that `links` does not name. */
  constructor(regions: readonly Region[], home: RegionName, links: readonly RegionLink[], defaultLink: Omit<RegionLink, 'from' | 'to'>) {
    this.regions = regions;
    this.home = home;
    this.#links = new Map(links.map((link) => [`${link.from} ${link.to}`, link]));
    this.#defaultLink = defaultLink;
  }

  /** True when `name` is a region of this deployment. */
  has(name: string): boolean {
    return this.regions.some((region) => region.name === name);
  }

  /** The link from one region to another; within one region a link without distance or price. */
  link(from: RegionName, to: RegionName): RegionLink {
    if (from === to) return { from, to, roundTripMs: 0, throughputBytesPerSecond: Number.POSITIVE_INFINITY, pricePerGb: 0 };
    return this.#links.get(`${from} ${to}`) ?? { from, to, ...this.#defaultLink };
  }

  /** `candidates` from the nearest to the farthest as seen from `from`: by round trip, then by name, so that the order is total. */
  byNearness(from: RegionName, candidates: Iterable<RegionName>): RegionName[] {
    return [...candidates].toSorted((a, b) => this.link(from, a).roundTripMs - this.link(from, b).roundTripMs || (a < b ? -1 : a > b ? 1 : 0));
  }
}
