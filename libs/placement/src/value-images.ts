import { type ExpectedPulls, expectedPulls, type ForecastParameters } from '#demand';

import { imageKey, type NamedImage, type PlacementImage, type RegionFacts } from './region-facts.js';

/**
 * How many newer pushes its repository has had, for every tagged image, by `imageKey`: 0 for the newest. Images that share a tag (an index's
 * platforms) or were pushed at the same instant are of one push. While a tag of a repository names an image that is still being expanded, the newest push
 * of those given counts as tagged, too: it is what the tag will have left, and nothing stands in its place yet.
 */
export function generationsOf(images: readonly PlacementImage[], unfinished: readonly NamedImage[] = []): Map<string, number> {
  const awaiting = new Set(unfinished.filter((image) => image.tags.length > 0).map((image) => image.repository));
  const newestMs = new Map<string, number>();
  for (const { repository, pushedAt } of images) newestMs.set(repository, Math.max(pushedAt.getTime(), newestMs.get(repository) ?? -Infinity));
  const counts = (image: PlacementImage): boolean =>
    image.tags.length > 0 || (awaiting.has(image.repository) && image.pushedAt.getTime() === newestMs.get(image.repository));
  const byRepository = Map.groupBy(images.filter(counts), (image) => image.repository);
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

/** The generations of images where nothing is unfinished depend on the images only: they are counted once for all regions. */
const GENERATIONS = new WeakMap<readonly PlacementImage[], ReadonlyMap<string, number>>();

function knownGenerations(images: readonly PlacementImage[], unfinished: readonly NamedImage[]): ReadonlyMap<string, number> {
  if (unfinished.some((image) => image.tags.length > 0)) return generationsOf(images, unfinished);
  const generations = GENERATIONS.get(images) ?? generationsOf(images);
  GENERATIONS.set(images, generations);
  return generations;
}

/** What values depend on. */
export type ValuedFacts = Pick<RegionFacts, 'demand' | 'unfinished'> & { readonly parameters: { readonly forecast: ForecastParameters } };

/** Images and the `imageKey` of each, in the same order. */
export interface KeyedImages {
  readonly images: readonly PlacementImage[];
  readonly keys: readonly string[];
}

/** The pulls expected of each image in one region, in the order of `images`. */
export function valueImages({ images, keys }: KeyedImages, facts: ValuedFacts): ExpectedPulls[] {
  const generations = knownGenerations(images, facts.unfinished);
  return images.map((image, n) => valueImage(image.repository, { key: keys[n]!, generation: generations.get(keys[n]!) }, facts));
}

/** The pulls expected of an image that may not be placed yet, as if it were whole: a tagged one counts as the newest. */
export function valueUnfinished(image: NamedImage, facts: ValuedFacts): number {
  return valueImage(image.repository, { key: imageKey(image), generation: image.tags.length > 0 ? 0 : undefined }, facts).total;
}

function valueImage(repository: string, { key, generation }: { readonly key: string; readonly generation: number | undefined }, { demand, parameters }: ValuedFacts): ExpectedPulls {
  const ownWeight = demand.images.get(key) ?? 0;
  const repositoryWeight = demand.repositories.get(repository) ?? ownWeight;
  return expectedPulls({ ownWeight, repositoryWeight, generation }, parameters.forecast);
}
