import type { Digest } from '#oci';

import { breakEvenOf, pullsAskedFor } from './break-even.js';
import { bytesOf, imagesWhere, isWithin, type LayerSet, layerSet, listed, union } from './layer-table.js';
import { keepFitting, placePins } from './place-pins.js';
import type { RegionCase } from './region-case.js';
import { imageKey, type UnfinishedImage } from './region-facts.js';
import { sortInSteps, STEP_COUNT } from './steps.js';

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
 * their pin's right, the others as far as there is room beside all pins: no pin that is met without them is unmet with them, nor the other way round. In steps.
 */
export function* retain(region: RegionCase): Generator<undefined, RegionCase> {
  const { facts, table, replicaOf } = region;
  const keepRule = breakEvenOf(facts.parameters, region.rule, facts.parameters.keepRatio);
  const ready = layerSet(table, (layer) => replicaOf[layer]?.state === 'ready');
  const numbersOf = (digests: readonly Digest[]): number[] => digests.map((digest) => table.layerNumber.get(digest) ?? -1).filter((layer) => ready[layer] === 1);
  const ofRepositories = readyLayersOf(region, ready, numbersOf);

  yield;
  const pinned = new Set(facts.pins.map((pin) => imageKey(pin.image)));
  const unfinished = yield* sortInSteps(facts.unfinished.map((image) => ({ image, key: imageKey(image) })), (a, b) => (a.key < b.key ? -1 : 1));
  const keptByPins = new Map(unfinished.filter(({ key }) => pinned.has(key)).map(({ image, key }) => [key, ofRepositories(image.repository)]));
  const { pinTurns, base, retained } = placePins(region, facts.capacityBytes, keptByPins);

  // What drains is recalled by the very orders of this plan.
  const there = layerSet(table, (layer) => ready[layer] === 1 || replicaOf[layer]?.state === 'draining');
  const toCopy = pinTurns.filter(({ met, image }) => met && !isWithin(table, image, there));
  yield;
  const demanded: UnfinishedImage[] = [];
  for (const [n, { image, key }] of unfinished.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const value = facts.forecasts.get(key)?.expectedPulls ?? 0;
    if (value === 0) continue;
    // As far as is known: the sizes of layers that nothing else has are not.
    const bytes = image.layers.reduce((sum, digest) => sum + (table.sizes[table.layerNumber.get(digest) ?? -1] ?? 0), 0);
    if (value >= pullsAskedFor(keepRule, { allBytes: bytes, addedBytes: bytes })) demanded.push(image);
  }
  const layers = [
    ...[...new Set(toCopy.map(({ pin }) => pin.image.repository))].flatMap(ofRepositories),
    ...demanded.flatMap((image) => numbersOf(image.layers).toSorted((a, b) => a - b)),
  ];
  keepFitting(region, layers, { sets: [base, retained], roomBytes: facts.capacityBytes - bytesOf(table, base) });
  return { ...region, forced: union(region.forced, retained) };
}

/** The ready layers of a repository's images: of the newest placeable image first, of unfinished ones last. */
function readyLayersOf({ table, facts }: RegionCase, ready: LayerSet, numbersOf: (digests: readonly Digest[]) => number[]): (repository: string) => number[] {
  return (repository) => {
    const placeable = imagesWhere(table, (image) => table.images[image]!.repository === repository);
    const newestFirst = placeable.toSorted((m, n) => table.images[n]!.pushedAt.getTime() - table.images[m]!.pushedAt.getTime() || m - n);
    const unfinished = facts.unfinished.filter((image) => image.repository === repository);
    const ofUnfinished = numbersOf(unfinished.flatMap((image) => image.layers)).toSorted((a, b) => a - b);
    const ofPlaceable = newestFirst.flatMap((image) => [...listed(table.layersOf, image)].filter((layer) => ready[layer] === 1));
    return [...new Set([...ofPlaceable, ...ofUnfinished])];
  };
}
