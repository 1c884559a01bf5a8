import type { Digest } from '#oci';

import { type HeldReplica, imageKey, type PlacementImage } from './region-facts.js';
import { sortInSteps, STEP_COUNT } from './steps.js';

/** A set of layers, by their numbers in a {@link LayerTable}: 1 for those in it. */
export type LayerSet = Uint8Array;

/** Lists of numbers, one after the other: list `n` is `values[starts[n]]` up to before `values[starts[n + 1]]`. */
export interface NumberLists {
  readonly starts: Int32Array;
  readonly values: Int32Array;
}

/** Layers, and whatever takes several of them whole, under dense numbers: images, and in some tables behind them the parts that images share. */
export interface BundleTable {
  /** As the images name them, those of one image by digest; also merged views. */
  readonly layers: readonly Digest[];
  /** Bytes of each layer. */
  readonly sizes: Float64Array;
  /** The layers of each image, each once, ascending, without its merged view: what decides whether the image is there. */
  readonly layersOf: NumberLists;
  /** The number of each image's merged view; -1 where it has none, or none yet. */
  readonly viewOf: Int32Array;
  /** The images of each layer, and of each merged view, ascending. */
  readonly imagesOf: NumberLists;
  /** Bytes of all layers of each image. */
  readonly imageBytes: Float64Array;
}

/** Images and their layers, in an order that does not depend on the input's: what deciding loops run on. */
export interface ImageTable extends BundleTable {
  /** By repository, then digest. */
  readonly images: readonly PlacementImage[];
  /** The `imageKey` of each: ascending. */
  readonly keys: readonly string[];
  readonly layerNumber: Pick<ReadonlyMap<Digest, number>, 'get'>;
  /** How many of the layers are of images, or merged views of them: the first. */
  readonly imageLayerCount: number;
}

/** An {@link ImageTable} that also has the layers that only replicas have: behind the others, by digest, of no image. */
export type LayerTable = ImageTable;

type NamedLayer = PlacementImage['layers'][number];

interface KnownTable {
  readonly images: readonly PlacementImage[];
  readonly table: ImageTable;
}

/** A table depends on nothing but the images: it is made once for all regions, and stays as long as the images do. By the first image. */
const KNOWN = new WeakMap<PlacementImage, KnownTable>();

/**
 * Numbers images and layers, in steps. Where the sizes given for a layer differ, the largest counts. Cheap where a list of the very same images, in the same order, was numbered before.
 * @returns the table, and the replica of each layer by its number.
 */
export function* tabulate(images: readonly PlacementImage[], replicas: readonly HeldReplica[]): Generator<undefined, { readonly table: LayerTable; readonly replicaOf: readonly (HeldReplica | undefined)[] }> {
  return yield* withReplicas(yield* tableOf(images), replicas);
}

function* tableOf(images: readonly PlacementImage[]): Generator<undefined, ImageTable> {
  const [first] = images;
  const known = first === undefined ? undefined : KNOWN.get(first);
  if (known !== undefined && known.images.length === images.length && known.images.every((image, n) => image === images[n])) return known.table;
  const table = yield* tabulateImages(images);
  // A copy: a caller may go on with its own list.
  if (first !== undefined) KNOWN.set(first, { images: [...images], table });
  return table;
}

function* tabulateImages(images: readonly PlacementImage[]): Generator<undefined, ImageTable> {
  const sorted = yield* byName(images);
  const numbers = new LayerNumbers();
  const viewOf = new Int32Array(sorted.length).fill(-1);
  const keys: string[] = [];
  for (const [number, image] of sorted.entries()) {
    if (number % STEP_COUNT === 0) yield;
    keys.push(imageKey(image));
    numbers.takeList(image.layers);
    if (image.view !== undefined) viewOf[number] = numbers.take(image.view);
  }
  const sizes = Float64Array.from(numbers.sizes);
  const layersOf = numbers.lists();
  yield;
  const imagesOf = invert(layersOf, viewOf, sizes.length);
  yield;
  return {
    imageLayerCount: sizes.length,
    images: sorted,
    keys,
    layers: numbers.layers,
    layerNumber: numbers.numberOf,
    sizes,
    layersOf,
    viewOf,
    imagesOf,
    imageBytes: bytesOfLists(layersOf, sizes),
  };
}

/** By repository, then digest: in steps, and so that repositories are compared once for each, not for each image. */
function* byName(images: readonly PlacementImage[]): Generator<undefined, PlacementImage[]> {
  const ofRepository = new Map<string, PlacementImage[]>();
  for (const image of images) {
    const known = ofRepository.get(image.repository);
    if (known === undefined) ofRepository.set(image.repository, [image]);
    else known.push(image);
  }
  yield;
  const sorted: PlacementImage[] = [];
  let stepped = 0;
  for (const repository of yield* sortInSteps([...ofRepository.keys()], compareText)) {
    for (const image of yield* sortInSteps(ofRepository.get(repository)!, byDigest)) sorted.push(image);
    if (sorted.length - stepped < STEP_COUNT) continue;
    stepped = sorted.length;
    yield;
  }
  return sorted;
}

function byDigest(a: { readonly digest: Digest }, b: { readonly digest: Digest }): number {
  return compareText(a.digest, b.digest);
}

/** The order of texts, by their code units. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Gives layers their numbers as they are first named. */
class LayerNumbers {
  readonly layers: Digest[] = [];
  readonly sizes: number[] = [];
  readonly numberOf = new Map<Digest, number>();
  readonly #starts = [0];
  #values = new Int32Array(STEP_COUNT);
  #end = 0;

  /** The number of one layer. */
  take(layer: NamedLayer): number {
    return this.#known(layer) ?? this.#next(layer);
  }

  /** Makes the numbers of some layers, each once, ascending, the next list. Those that are new get theirs by digest, whatever the order that they are given in. */
  takeList(named: readonly NamedLayer[]): void {
    if (this.#end + named.length > this.#values.length) this.#grow(this.#end + named.length);
    const begin = this.#end;
    const fresh: NamedLayer[] = [];
    for (const layer of named) {
      const number = this.#known(layer);
      if (number === undefined) fresh.push(layer);
      else this.#put(begin, number);
    }
    // One that is named twice is known at its second turn.
    for (const layer of fresh.length > 1 ? fresh.sort(byDigest) : fresh) this.#put(begin, this.take(layer));
    this.#starts.push(this.#end);
  }

  #known({ digest, sizeBytes }: NamedLayer): number | undefined {
    const number = this.numberOf.get(digest);
    if (number !== undefined && sizeBytes > this.sizes[number]!) this.sizes[number] = sizeBytes;
    return number;
  }

  #next({ digest, sizeBytes }: NamedLayer): number {
    const number = this.layers.push(digest) - 1;
    this.sizes.push(sizeBytes);
    this.numberOf.set(digest, number);
    return number;
  }

  lists(): NumberLists {
    return { starts: Int32Array.from(this.#starts), values: this.#values.slice(0, this.#end) };
  }

  /** Puts a number where it belongs in the list that begins there. Lists are short, and nearly in order. */
  #put(begin: number, number: number): void {
    const values = this.#values;
    let at = this.#end;
    while (at > begin && values[at - 1]! > number) at -= 1;
    if (at > begin && values[at - 1] === number) return;
    values.copyWithin(at + 1, at, this.#end);
    values[at] = number;
    this.#end += 1;
  }

  #grow(least: number): void {
    const values = new Int32Array(Math.max(least, 2 * this.#values.length));
    values.set(this.#values);
    this.#values = values;
  }
}

/** The bytes of all layers of each list. */
function bytesOfLists({ starts, values }: NumberLists, sizes: Float64Array): Float64Array {
  const bytes = new Float64Array(starts.length - 1);
  for (let n = 0; n < bytes.length; n += 1) for (let at = starts[n]!; at < starts[n + 1]!; at += 1) bytes[n] = bytes[n]! + sizes[values[at]!]!;
  return bytes;
}

/** The images of each layer, and of each view that is no layer of the same image. */
function invert(layersOf: NumberLists, viewOf: Int32Array, layerCount: number): NumberLists {
  const extraOf = viewOf.map((view, image) => (view >= 0 && isOnlyView({ layersOf }, image, view) ? view : -1));
  const starts = new Int32Array(layerCount + 1);
  const count = (layer: number): unknown => (starts[layer + 1] = starts[layer + 1]! + 1);
  layersOf.values.forEach(count);
  for (const view of extraOf) if (view >= 0) count(view);
  for (let layer = 0; layer < layerCount; layer += 1) starts[layer + 1] = starts[layer + 1]! + starts[layer]!;
  const values = new Int32Array(starts[layerCount]!);
  const next = starts.slice();
  const add = (layer: number, image: number): void => {
    values[next[layer]!] = image;
    next[layer] = next[layer]! + 1;
  };
  for (let image = 0; image < viewOf.length; image += 1) {
    for (let at = layersOf.starts[image]!; at < layersOf.starts[image + 1]!; at += 1) add(layersOf.values[at]!, image);
    if (extraOf[image]! >= 0) add(extraOf[image]!, image);
  }
  return { starts, values };
}

function* withReplicas(table: ImageTable, replicas: readonly HeldReplica[]): Generator<undefined, { table: LayerTable; replicaOf: (HeldReplica | undefined)[] }> {
  const { layers, layerNumber, sizes } = table;
  const replicaOf = new Array<HeldReplica | undefined>(layers.length).fill(undefined);
  const fresh: HeldReplica[] = [];
  let isLarger = false;
  for (const [n, replica] of replicas.entries()) {
    if (n % STEP_COUNT === 0) yield;
    const number = layerNumber.get(replica.layer);
    if (number === undefined) fresh.push(replica);
    else {
      replicaOf[number] = replica;
      isLarger ||= replica.sizeBytes > sizes[number]!;
    }
  }
  if (fresh.length === 0 && !isLarger) return { table, replicaOf };
  replicaOf.push(...fresh.sort((a, b) => (a.layer < b.layer ? -1 : 1)));
  const allSizes = Float64Array.from(replicaOf, (replica, layer) => Math.max(replica?.sizeBytes ?? 0, sizes[layer] ?? 0));
  return { table: { ...table, sizes: allSizes, imageBytes: isLarger ? bytesOfLists(table.layersOf, allSizes) : table.imageBytes, ...withFresh(table, fresh) }, replicaOf };
}

function withFresh({ layers, layerNumber, imagesOf }: ImageTable, fresh: readonly HeldReplica[]): Pick<LayerTable, 'layers' | 'layerNumber' | 'imagesOf'> {
  const freshNumber = new Map(fresh.map(({ layer }, n) => [layer, layers.length + n]));
  const starts = new Int32Array(layers.length + fresh.length + 1).fill(imagesOf.values.length);
  starts.set(imagesOf.starts);
  return {
    layers: [...layers, ...fresh.map(({ layer }) => layer)],
    layerNumber: { get: (digest) => layerNumber.get(digest) ?? freshNumber.get(digest) },
    imagesOf: { starts, values: imagesOf.values },
  };
}

/** The number of the image that has a key; undefined where none has. */
export function numberOfImage({ keys }: ImageTable, key: string): number | undefined {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return keys[low] === key ? low : undefined;
}

/** One of the lists, without a copy: to be read only. */
export function listed(lists: NumberLists, n: number): Int32Array {
  return lists.values.subarray(lists.starts[n], lists.starts[n + 1]);
}

/** The layers of a table that `belongs` names. */
export function layerSet(table: BundleTable, belongs: (layer: number) => boolean): LayerSet {
  const set = new Uint8Array(table.layers.length);
  for (let layer = 0; layer < set.length; layer += 1) if (belongs(layer)) set[layer] = 1;
  return set;
}

/** What is in any of the sets; all of the same table. */
export function union(...sets: readonly LayerSet[]): LayerSet {
  const [first, ...others] = sets;
  const all = first?.slice() ?? new Uint8Array();
  for (const set of others) for (let layer = 0; layer < all.length; layer += 1) all[layer] = (all[layer] ?? 0) | (set[layer] ?? 0);
  return all;
}

/** What is in the first set and not in the second; both of the same table. */
export function without(set: LayerSet, others: LayerSet): LayerSet {
  return set.map((isIn, layer) => (others[layer] === 1 ? 0 : isIn));
}

/** True when both hold the same layers. */
export function isSameSet(a: LayerSet, b: LayerSet): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Bytes of all layers in the set, each once. */
export function bytesOf(table: BundleTable, set: LayerSet): number {
  let bytes = 0;
  for (let layer = 0; layer < set.length; layer += 1) if (set[layer] === 1) bytes += table.sizes[layer]!;
  return bytes;
}

/** What an image adds to a set, in bytes. */
export function marginal({ layersOf: { starts, values }, sizes }: BundleTable, image: number, set: LayerSet): number {
  let sum = 0;
  for (let at = starts[image]!; at < starts[image + 1]!; at += 1) if (set[values[at]!] !== 1) sum += sizes[values[at]!]!;
  return sum;
}

/** Whether all of an image's layers are in the set. */
export function isWithin({ layersOf: { starts, values } }: BundleTable, image: number, set: LayerSet): boolean {
  for (let at = starts[image]!; at < starts[image + 1]!; at += 1) if (set[values[at]!] !== 1) return false;
  return true;
}

/** Puts an image's layers into the set. */
export function include({ layersOf: { starts, values } }: BundleTable, image: number, set: LayerSet): void {
  for (let at = starts[image]!; at < starts[image + 1]!; at += 1) set[values[at]!] = 1;
}

/** Whether any image has the layer, or has it as its merged view. */
export function hasImages({ imagesOf }: BundleTable, layer: number): boolean {
  return imagesOf.starts[layer] !== imagesOf.starts[layer + 1];
}

/** Whether an image's merged view is none of its layers. */
export function isOnlyView({ layersOf }: Pick<BundleTable, 'layersOf'>, image: number, view: number): boolean {
  return !listed(layersOf, image).includes(view);
}

/** Numbers of a table's images that `belongs` names, ascending. */
export function imagesWhere(table: BundleTable, belongs: (image: number) => boolean): number[] {
  const images: number[] = [];
  for (let image = 0; image < table.imageBytes.length; image += 1) if (belongs(image)) images.push(image);
  return images;
}

/** A set, and all layers of some images. */
export function withImages(table: BundleTable, base: LayerSet, images: Iterable<number>): LayerSet {
  const layers = base.slice();
  for (const image of images) include(table, image, layers);
  return layers;
}
