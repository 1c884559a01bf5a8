import type { PlacementImage } from '#placement';

/** A set-union knapsack: images worth something when all of their layers are there, layers paid once. Images and layers under dense numbers. */
export interface PlacementCase {
  readonly images: readonly PlacementImage[];
  readonly layersOf: readonly (readonly number[])[];
  readonly imagesOf: readonly (readonly number[])[];
  readonly sizes: readonly number[];
  /** Pulls of each image. */
  readonly demand: Float64Array;
  readonly totalBytes: number;
}

/** Numbers the layers of some images. */
export function openPlacementCase(images: readonly PlacementImage[], demand: Float64Array): PlacementCase {
  const numbers = new Map<string, number>();
  const sizes: number[] = [];
  const layersOf = images.map((image) =>
    image.layers.map(({ digest, sizeBytes }) => {
      const known = numbers.get(digest);
      if (known !== undefined) return known;
      numbers.set(digest, sizes.length);
      return sizes.push(sizeBytes) - 1;
    }),
  );
  const imagesOf: number[][] = sizes.map(() => []);
  for (const [image, layers] of layersOf.entries()) for (const layer of layers) imagesOf[layer]!.push(image);
  return { images, layersOf, imagesOf, sizes, demand, totalBytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
}

/** The demand of the images of which all layers are there. */
export function hitsOf({ layersOf, demand }: PlacementCase, isThere: (layer: number) => boolean): number {
  return layersOf.reduce((sum, layers, image) => (layers.every(isThere) ? sum + demand[image]! : sum), 0);
}
