import { atOnce } from '#clock';
import type { ForecastImage } from '#demand';

import { type CatalogueImages, imageKey, type NamedImage, type PlacementImage } from './region-facts.js';
import { STEP_COUNT } from './steps.js';

/**
 * How many newer pushes its repository has had, for every tagged image, by `imageKey`: 0 for the newest. Images that share a tag (an index's
 * platforms) or were pushed at the same instant are of one push. While a tag of a repository names an image that is still being expanded, the newest push
 * of those given counts as tagged, too: it is what the tag will have left, and nothing stands in its place yet. In steps.
 */
export function* generationsOf(images: readonly PlacementImage[], unfinished: readonly NamedImage[] = []): Generator<undefined, Map<string, number>> {
  const awaiting = new Set(unfinished.filter((image) => image.tags.length > 0).map((image) => image.repository));
  const newestMs = new Map<string, number>();
  for (const { repository, pushedAt } of images) newestMs.set(repository, Math.max(pushedAt.getTime(), newestMs.get(repository) ?? -Infinity));
  const counts = (image: PlacementImage): boolean =>
    image.tags.length > 0 || (awaiting.has(image.repository) && image.pushedAt.getTime() === newestMs.get(image.repository));
  yield;
  const byRepository = Map.groupBy(images.filter(counts), (image) => image.repository);
  const generations = new Map<string, number>();
  let looked = 0;
  for (const tagged of byRepository.values()) {
    looked += tagged.length;
    if (looked >= STEP_COUNT) {
      looked = 0;
      yield;
    }
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

/** The images of a catalogue as forecasts see them: all but those of which only a name is known. One that is still being expanded and has a tag is of the newest push. */
export function forecastImages(catalogue: CatalogueImages): ForecastImage[] {
  return atOnce(forecastImagesInSteps(catalogue));
}

/** {@link forecastImages} in steps, for callers that share a thread. */
export function* forecastImagesInSteps({ placeable, unfinished }: CatalogueImages): Generator<undefined, ForecastImage[]> {
  const generations = yield* generationsOf(placeable, unfinished);
  const images: ForecastImage[] = [];
  for (const [n, image] of placeable.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const { repository, digest, pushedAt } = image;
    images.push({ repository, digest, pushedAt, generation: generations.get(imageKey(image)) });
  }
  for (const { repository, digest, pushedAt, tags } of unfinished) if (pushedAt !== undefined) images.push({ repository, digest, pushedAt, generation: tags.length > 0 ? 0 : undefined });
  return images;
}
