import { type BundleTable, type LayerTable, listed, type NumberLists } from './layer-table.js';
import { STEP_COUNT } from './steps.js';

/** A part below this share of the mean image's bytes is left to its images: it saves next to nothing, and most of them are so small. */
const PART_RATIO_MIN = 0.01;

/** Images, and behind them the parts that they share. */
export interface SharedParts {
  /** The images keep their numbers; parts follow, by their first layer. */
  readonly bundles: BundleTable;
  /** The images of each part, ascending: part `n` is bundle `images + n`. */
  readonly imagesOf: readonly (readonly number[])[];
  /** The bundle that each layer of images is a part's of; -1 for those of none. */
  readonly partOf: Int32Array;
  /** The bytes of each image that parts have. */
  readonly partBytes: Float64Array;
}

/** What depends on nothing but the images and the sizes of their layers. */
interface KnownParts extends SharedParts {
  /** The sizes that it was made with. */
  readonly sizes: Float64Array;
}

/** Parts are found once for all plans on the same images, and stay as long as these do. By the layers of the images. */
const KNOWN = new WeakMap<NumberLists, KnownParts>();

/**
 * Finds, in steps, the parts of images that save bytes by themselves: all layers that the same two or more images have. One is read by a pull of any of these, whole or not, so it may be worth its room where no
 * image that has it is. Cost: visits every pair of an image and a layer a few times; next to nothing where those of the same images were found before, with the same sizes.
 */
export function* sharedParts(table: LayerTable): Generator<undefined, SharedParts> {
  const known = KNOWN.get(table.layersOf);
  const parts = known !== undefined && haveSameSizes(known, table) ? known : yield* partsOf(table);
  if (parts !== known) KNOWN.set(table.layersOf, parts);
  return parts.sizes === table.sizes ? parts : { ...parts, bundles: { ...parts.bundles, layers: table.layers, sizes: table.sizes, imagesOf: ofLayers(parts.bundles.imagesOf, table.layers.length) } };
}

function haveSameSizes({ sizes }: KnownParts, table: LayerTable): boolean {
  for (let layer = 0; layer < table.imageLayerCount; layer += 1) if (sizes[layer] !== table.sizes[layer]) return false;
  return true;
}

/** The same lists for so many layers: those that have none are behind the others. */
function ofLayers({ starts, values }: NumberLists, layerCount: number): NumberLists {
  const all = new Int32Array(layerCount + 1).fill(values.length);
  all.set(starts.subarray(0, all.length));
  return { starts: all, values };
}

function* partsOf(table: LayerTable): Generator<undefined, KnownParts> {
  const { sizes, layersOf } = table;
  const firstOf = yield* firstAlike(table);
  const bytes = new Float64Array(firstOf.length);
  for (let layer = 0; layer < firstOf.length; layer += 1) if (firstOf[layer]! >= 0) bytes[firstOf[layer]!] = bytes[firstOf[layer]!]! + sizes[layer]!;
  const imageCount = table.images.length;
  const leastBytes = (PART_RATIO_MIN * table.imageBytes.reduce((sum, each) => sum + each, 0)) / Math.max(1, imageCount);
  const partOf = new Int32Array(table.layers.length).fill(-1);
  const layersOfParts: number[][] = [];
  for (let layer = 0; layer < firstOf.length; layer += 1) {
    const first = firstOf[layer]!;
    if (first < 0 || bytes[first]! < leastBytes || bytes[first] === 0) continue;
    if (first === layer) partOf[layer] = imageCount + layersOfParts.push([layer]) - 1;
    else {
      partOf[layer] = partOf[first]!;
      layersOfParts[partOf[layer]! - imageCount]!.push(layer);
    }
  }
  yield;
  const partBytes = new Float64Array(imageCount);
  const imagesOf: number[][] = layersOfParts.map(() => []);
  for (let image = 0; image < imageCount; image += 1) {
    for (let at = layersOf.starts[image]!; at < layersOf.starts[image + 1]!; at += 1) {
      const layer = layersOf.values[at]!;
      if (partOf[layer]! < 0) continue;
      partBytes[image] = partBytes[image]! + sizes[layer]!;
      if (firstOf[layer] === layer) imagesOf[partOf[layer]! - imageCount]!.push(image);
    }
  }
  yield;
  return { bundles: yield* withParts(table, layersOfParts, partOf), imagesOf, partOf, partBytes, sizes };
}

/** Tells layers apart by image after image, until only those are together that all images have or lack together. */
function* firstAlike({ layersOf, imageBytes, layers }: LayerTable): Generator<undefined, Int32Array> {
  const classOf = new Int32Array(layers.length);
  const sharers = new Int32Array(layers.length);
  let classCount = 1;
  for (let image = 0; image < imageBytes.length; image += 1) {
    if (image % STEP_COUNT === 0) yield;
    const split = new Map<number, number>();
    for (const layer of listed(layersOf, image)) {
      const before = classOf[layer]!;
      const after = split.get(before) ?? classCount++;
      split.set(before, after);
      classOf[layer] = after;
      sharers[layer] = sharers[layer]! + 1;
    }
  }
  const firstOfClass = new Int32Array(classCount).fill(-1);
  return classOf.map((of, layer) => {
    if (sharers[layer]! < 2) return -1;
    if (firstOfClass[of]! < 0) firstOfClass[of] = layer;
    return firstOfClass[of]!;
  });
}

function* withParts(table: LayerTable, layersOfParts: readonly (readonly number[])[], partOf: Int32Array): Generator<undefined, BundleTable> {
  let end = table.layersOf.values.length;
  const ends = layersOfParts.map((layers) => (end += layers.length));
  const imagesOf = withPartOf(table.imagesOf, partOf);
  yield;
  return {
    layers: table.layers,
    sizes: table.sizes,
    layersOf: { starts: joined(table.layersOf.starts, ends), values: joined(table.layersOf.values, layersOfParts.flat()) },
    viewOf: joined(table.viewOf, layersOfParts.map(() => -1)),
    imagesOf,
    imageBytes: Float64Array.from([...table.imageBytes, ...layersOfParts.map((layers) => layers.reduce((sum, layer) => sum + table.sizes[layer]!, 0))]),
  };
}

/** The images of each layer, and behind them its part. */
function withPartOf({ starts, values }: NumberLists, partOf: Int32Array): NumberLists {
  const all = { starts: new Int32Array(starts.length), values: new Int32Array(values.length + partOf.reduce((count, part) => count + Number(part >= 0), 0)) };
  let end = 0;
  for (let layer = 0; layer < partOf.length; layer += 1) {
    const of = values.subarray(starts[layer], starts[layer + 1]);
    all.values.set(of, end);
    end += of.length;
    if (partOf[layer]! >= 0) all.values[end++] = partOf[layer]!;
    all.starts[layer + 1] = end;
  }
  return all;
}

function joined(first: Int32Array, then: readonly number[]): Int32Array {
  const all = new Int32Array(first.length + then.length);
  all.set(first);
  all.set(then, first.length);
  return all;
}
