import type { Pin } from '#pins';
import type { RegionName } from '#regions';

import { type CatalogueImages, imageKey, type NamedImage, type RegionPin } from './region-facts.js';

/** What pins mean at an instant. */
export interface ResolvedPins {
  /** The pins of each region that any pin names, each with one image, which may be unfinished; a pin that means several (an index's platforms) stands there once for each. */
  readonly byRegion: ReadonlyMap<RegionName, readonly RegionPin[]>;
  /** Of each such region, the ids of pins that mean no image that may be placed: unknown, or not expanded yet. Ascending. */
  readonly unresolvedByRegion: ReadonlyMap<RegionName, readonly string[]>;
}

/** Finds what pins mean: by tag whatever images the tag names now, by digest the image itself or those of the index. `pins` are active ones. */
export function resolvePins(pins: readonly Pin[], images: CatalogueImages): ResolvedPins {
  const repositories = new Set(pins.map(({ repository }) => repository));
  const ofPins = <Image extends NamedImage>(all: readonly Image[]): Image[] => all.filter(({ repository }) => repositories.has(repository));
  const placed = ofPins(images.placeable);
  const placeable = new Set(placed.map(imageKey));
  const named = new Map<string, NamedImage[]>();
  const name = (key: string, image: NamedImage): void => {
    const known = named.get(key);
    if (known === undefined) named.set(key, [image]);
    else known.push(image);
  };
  for (const image of [...placed, ...ofPins(images.unfinished)]) {
    for (const tag of new Set(image.tags)) name(`${image.repository}:${tag}`, image);
    for (const digest of new Set([image.digest, ...(image.indexes ?? [])])) name(`${image.repository}@${digest}`, image);
  }
  const byRegion = new Map<RegionName, RegionPin[]>();
  const unresolvedByRegion = new Map<RegionName, string[]>();
  for (const pin of pins.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const key = pin.reference.kind === 'tag' ? `${pin.repository}:${pin.reference.tag}` : `${pin.repository}@${pin.reference.digest}`;
    const meant = named.get(key) ?? [];
    for (const region of pin.regions) {
      const here = byRegion.get(region) ?? [];
      byRegion.set(region, here);
      if (!meant.some((image) => placeable.has(imageKey(image)))) unresolvedByRegion.set(region, [...(unresolvedByRegion.get(region) ?? []), pin.id]);
      for (const { repository, digest } of meant) {
        here.push({ id: pin.id, image: { repository, digest }, priority: pin.priority, createdAt: pin.createdAt });
      }
    }
  }
  return { byRegion, unresolvedByRegion };
}
