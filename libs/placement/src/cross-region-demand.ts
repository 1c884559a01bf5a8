import type { RegionName } from '#regions';

import { imageKey, type ImageName, type RegionDemand } from './region-facts.js';

/** The decayed count of an image in a region, at the instant of the plan. */
export interface CountedPulls {
  readonly region: RegionName;
  readonly image: ImageName;
  readonly weight: number;
}

/** The least volume that a region's own is taken for, as a share of all: a region that has seen nothing yet would inherit nothing. */
const VOLUME_RATIO_MIN = 0.01;

/**
 * Demand by region, with what other regions pull as a prior: to a repository's pulls in a region comes `ratio` times what its pulls elsewhere would be at this region's volume.
 * An image counts as pulled by the same measure. Regions that nobody pulled in have no entry.
 * @param ratio 0 for each region by itself, up to 1.
 */
export function crossRegionDemand(counts: readonly CountedPulls[], ratio: number): Map<RegionName, RegionDemand> {
  const byRegion = new Map<RegionName, { images: Map<string, number>; repositories: Map<string, number> }>();
  const volumes = new Map<RegionName, number>();
  let volume = 0;
  const add = (map: Map<string, number>, key: string, weight: number): unknown => map.set(key, (map.get(key) ?? 0) + weight);
  const all = { images: new Map<string, number>(), repositories: new Map<string, number>() };
  for (const { region, image, weight } of counts) {
    const demand = byRegion.get(region) ?? { images: new Map<string, number>(), repositories: new Map<string, number>() };
    byRegion.set(region, demand);
    for (const { images, repositories } of [demand, all]) {
      add(images, imageKey(image), weight);
      add(repositories, image.repository, weight);
    }
    volumes.set(region, (volumes.get(region) ?? 0) + weight);
    volume += weight;
  }
  if (ratio === 0 || volume === 0) return byRegion;
  for (const [region, { images, repositories }] of byRegion) {
    const own = volumes.get(region) ?? 0;
    const elsewhere = volume - own;
    if (elsewhere <= 0) continue;
    const scale = (ratio * Math.max(own, volume * VOLUME_RATIO_MIN)) / elsewhere;
    for (const [mine, everywhere] of [[images, all.images], [repositories, all.repositories]] as const) {
      for (const [key, weight] of everywhere) mine.set(key, (mine.get(key) ?? 0) + scale * (weight - (mine.get(key) ?? 0)));
    }
  }
  return byRegion;
}
