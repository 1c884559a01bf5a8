import type { Digest } from '#oci';

import { bytesOf, isWithin, union } from './layer-table.js';
import { keepFitting, placePins } from './place-pins.js';
import type { RegionCase } from './region-case.js';
import { imageKey } from './region-facts.js';
import { valueUnfinished } from './value-images.js';

/**
 * Adds to what cannot go the ready layers that are kept because an image that needs them, or will replace them, is not there yet (I2). One rule: while a
 * reference that is wanted here is not carried out, what may stand in for it stays.
 * - Where an unfinished image is pinned, every layer of every image of its repository stays: what the pin's tag named before is among them, and nothing
 *   tells which it was.
 * - The same where a pin is met, but its image has still to be copied here; recalling what drains takes no time.
 * - Where an unfinished image expects enough pulls to be kept if it were whole, its own layers stay. What its tag named before keeps its worth instead, see
 *   `generationsOf`.
 *
 * It ends when the image is there, refused, or gone from the registry; a pin of what is gone keeps nothing. Layers of pinned unfinished images stay by
 * their pin's right, the others as far as there is room beside all pins: no pin that is met without them is unmet with them, nor the other way round.
 */
export function retain(region: RegionCase): RegionCase {
  const { facts, table, replicas } = region;
  const { minimumExpectedPulls, keepRatio } = facts.parameters;
  const ready = Uint8Array.from(table.layers, (digest) => (replicas.get(digest)?.state === 'ready' ? 1 : 0));
  const numbersOf = (digests: readonly Digest[]): number[] => digests.map((digest) => table.layerNumber.get(digest) ?? -1).filter((layer) => ready[layer] === 1);
  const ofRepositories = readyLayersOf(region, numbersOf);

  const pinned = new Set(facts.pins.map((pin) => imageKey(pin.image)));
  const unfinished = facts.unfinished.toSorted((a, b) => (imageKey(a) < imageKey(b) ? -1 : 1));
  const keptByPins = new Map(unfinished.filter((image) => pinned.has(imageKey(image))).map((image) => [imageKey(image), ofRepositories(image.repository)]));
  const { pinTurns, base, retained } = placePins(region, facts.capacityBytes, keptByPins);

  // What drains is recalled by the very orders of this plan.
  const there = Uint8Array.from(table.layers, (digest, layer) => (ready[layer] === 1 || replicas.get(digest)?.state === 'draining' ? 1 : 0));
  const toCopy = pinTurns.filter(({ met, image }) => met && !isWithin(table, image, there));
  const demanded = unfinished.filter((image) => {
    const value = valueUnfinished(image, facts);
    return value > 0 && value >= minimumExpectedPulls * keepRatio;
  });
  const layers = [
    ...[...new Set(toCopy.map(({ pin }) => pin.image.repository))].flatMap(ofRepositories),
    ...demanded.flatMap((image) => numbersOf(image.layers).toSorted((a, b) => a - b)),
  ];
  keepFitting(region, layers, { sets: [base, retained], roomBytes: facts.capacityBytes - bytesOf(table, base) });
  return { ...region, forced: union(region.forced, retained) };
}

/** The ready layers of a repository's images: of the newest placeable image first, of unfinished ones last. */
function readyLayersOf({ table, facts }: RegionCase, numbersOf: (digests: readonly Digest[]) => number[]): (repository: string) => number[] {
  const placeable = Map.groupBy(table.images.entries(), ([, image]) => image.repository);
  const unfinished = Map.groupBy(facts.unfinished, (image) => image.repository);
  return (repository) => {
    const newestFirst = (placeable.get(repository) ?? []).toSorted(([m, a], [n, b]) => b.pushedAt.getTime() - a.pushedAt.getTime() || m - n);
    const ofUnfinished = numbersOf((unfinished.get(repository) ?? []).flatMap((image) => image.layers)).toSorted((a, b) => a - b);
    const ofPlaceable = newestFirst.flatMap(([image]) => numbersOf([...(table.layersOf[image] ?? [])].map((layer) => table.layers[layer] as Digest)));
    return [...new Set([...ofPlaceable, ...ofUnfinished])];
  };
}
