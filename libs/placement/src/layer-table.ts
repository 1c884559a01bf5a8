import type { Digest } from '#oci';

import { type HeldReplica, imageKey, type PlacementImage } from './region-facts.js';

/** A set of layers, by their numbers in a {@link LayerTable}: 1 for those in it. */
export type LayerSet = Uint8Array;

/** Images and layers under dense numbers, in an order that does not depend on the input's: what deciding loops run on. */
export interface LayerTable {
  /** By repository, then digest. */
  readonly images: readonly PlacementImage[];
  readonly imageNumber: ReadonlyMap<string, number>;
  /** By digest; also merged views, and layers that only replicas have. */
  readonly layers: readonly Digest[];
  readonly layerNumber: ReadonlyMap<Digest, number>;
  /** Bytes of each layer. */
  readonly sizes: Float64Array;
  /** The layers of each image, each once, ascending, without its merged view: what decides whether the image is there. */
  readonly layersOf: readonly Int32Array[];
  /** The number of each image's merged view; -1 where it has none, or none yet. */
  readonly viewOf: Int32Array;
  /** The images of each layer, and of each merged view, ascending. */
  readonly imagesOf: readonly (readonly number[])[];
}

/** Numbers images and layers. Where the sizes given for a layer differ, the largest counts. */
export function tabulate(images: readonly PlacementImage[], replicas: readonly HeldReplica[]): LayerTable {
  const keyed = images.map((image) => ({ key: imageKey(image), image })).toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const sizeOf = new Map<Digest, number>();
  const note = (digest: Digest, sizeBytes: number): unknown => sizeOf.set(digest, Math.max(sizeBytes, sizeOf.get(digest) ?? 0));
  for (const { layers: own, view } of images) for (const layer of view === undefined ? own : [...own, view]) note(layer.digest, layer.sizeBytes);
  for (const replica of replicas) note(replica.layer, replica.sizeBytes);

  const layers = [...sizeOf.keys()].toSorted();
  const layerNumber = new Map(layers.map((digest, number) => [digest, number]));
  const numbers = (image: PlacementImage): number[] => image.layers.map((layer) => layerNumber.get(layer.digest) ?? -1);
  const layersOf = keyed.map(({ image }) => Int32Array.from(new Set(numbers(image))).toSorted());
  const viewOf = Int32Array.from(keyed, ({ image }) => (image.view === undefined ? -1 : (layerNumber.get(image.view.digest) ?? -1)));
  const imagesOf: number[][] = layers.map(() => []);
  layersOf.forEach((of, image) => {
    for (const layer of of) imagesOf[layer]?.push(image);
    const view = viewOf[image] ?? -1;
    if (view >= 0 && !of.includes(view)) imagesOf[view]?.push(image);
  });
  return {
    images: keyed.map(({ image }) => image),
    imageNumber: new Map(keyed.map(({ key }, number) => [key, number])),
    layers,
    layerNumber,
    sizes: Float64Array.from(layers, (digest) => sizeOf.get(digest) ?? 0),
    layersOf,
    viewOf,
    imagesOf,
  };
}

/** The layers of a table that `belongs` names. */
export function layerSet(table: LayerTable, belongs: (digest: Digest) => boolean): LayerSet {
  return Uint8Array.from(table.layers, (digest) => (belongs(digest) ? 1 : 0));
}

/** What is in any of the sets; all of the same table. */
export function union(...sets: readonly LayerSet[]): LayerSet {
  const [first, ...others] = sets;
  const all = Uint8Array.from(first ?? []);
  for (const set of others) for (let layer = 0; layer < all.length; layer += 1) all[layer] = (all[layer] ?? 0) | (set[layer] ?? 0);
  return all;
}

/** True when both hold the same layers. */
export function isSameSet(a: LayerSet, b: LayerSet): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Bytes of all layers in the set, each once. */
export function bytesOf(table: LayerTable, set: LayerSet): number {
  let bytes = 0;
  for (let layer = 0; layer < set.length; layer += 1) if (set[layer] === 1) bytes += table.sizes[layer] ?? 0;
  return bytes;
}

/** What an image adds to a set, in the unit of `sizes`: bytes, or bytes at what they count for. */
export function marginal(table: LayerTable, image: number, set: LayerSet, sizes: Float64Array = table.sizes): number {
  let sum = 0;
  for (const layer of table.layersOf[image] ?? []) if (set[layer] !== 1) sum += sizes[layer] ?? 0;
  return sum;
}

/** Bytes of all layers of an image. */
export function imageBytes(table: LayerTable, image: number): number {
  let bytes = 0;
  for (const layer of table.layersOf[image] ?? []) bytes += table.sizes[layer] ?? 0;
  return bytes;
}

/** Whether all of an image's layers are in the set. */
export function isWithin(table: LayerTable, image: number, set: LayerSet): boolean {
  return (table.layersOf[image] ?? []).every((layer) => set[layer] === 1);
}

/** Puts an image's layers into the set. */
export function include(table: LayerTable, image: number, set: LayerSet): void {
  for (const layer of table.layersOf[image] ?? []) set[layer] = 1;
}
