import { type ExpectedPulls, expectedPulls, type ForecastParameters } from '#demand';

import { imageKey, type PlacementImage, type RegionDemand } from './region-facts.js';

/**
 * How many newer pushes its repository has had, for every tagged image, by `imageKey`: 0 for the newest. Images that share a tag (an index's
 * platforms) or were pushed at the same instant are of one push.
 */
export function generationsOf(images: readonly PlacementImage[]): Map<string, number> {
  const byRepository = Map.groupBy(images.filter((image) => image.tags.length > 0), (image) => image.repository);
  const generations = new Map<string, number>();
  for (const tagged of byRepository.values()) {
    const newestFirst = tagged.toSorted((a, b) => b.pushedAt.getTime() - a.pushedAt.getTime() || (a.digest < b.digest ? -1 : 1));
    const generationOfTag = new Map<string, number>();
    let generation = -1;
    let pushedAtMs = Number.NaN;
    for (const image of newestFirst) {
      const shared = image.tags.map((tag) => generationOfTag.get(tag)).filter((known) => known !== undefined);
      if (shared.length === 0 && image.pushedAt.getTime() !== pushedAtMs) generation += 1;
      pushedAtMs = image.pushedAt.getTime();
      const own = shared.length === 0 ? generation : Math.min(...shared);
      for (const tag of image.tags) generationOfTag.set(tag, Math.min(own, generationOfTag.get(tag) ?? own));
      generations.set(imageKey(image), own);
    }
  }
  return generations;
}

/** The pulls expected of each image in one region, in the order of `images`. */
export function valueImages(images: readonly PlacementImage[], demand: RegionDemand, parameters: ForecastParameters): ExpectedPulls[] {
  const generations = generationsOf(images);
  return images.map((image) => {
    const ownWeight = demand.images.get(imageKey(image)) ?? 0;
    const repositoryWeight = demand.repositories.get(image.repository) ?? ownWeight;
    return expectedPulls({ ownWeight, repositoryWeight, generation: generations.get(imageKey(image)) }, parameters);
  });
}
