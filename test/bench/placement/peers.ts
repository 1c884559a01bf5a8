import { hitsOf, type PlacementCase } from './placement-case.js';

/** Layers by pulls for each byte, each by itself as long as it fits: how caches rank. @returns hits. */
export function layersByDensity(of: PlacementCase, capacityBytes: number): number {
  const { sizes, imagesOf, demand } = of;
  const density = sizes.map((bytes, layer) => imagesOf[layer]!.reduce((sum, image) => sum + demand[image]!, 0) / Math.max(1, bytes));
  const isThere = new Uint8Array(sizes.length);
  let usedBytes = 0;
  for (const layer of [...sizes.keys()].toSorted((a, b) => density[b]! - density[a]! || a - b)) {
    if (usedBytes + sizes[layer]! > capacityBytes) continue;
    usedBytes += sizes[layer]!;
    isThere[layer] = 1;
  }
  return hitsOf(of, (layer) => isThere[layer] === 1);
}

/** Whole images by pulls for each byte of all of their layers, whoever else has them, as long as what they add fits. @returns hits. */
export function imagesByDensity(of: PlacementCase, capacityBytes: number): number {
  const { sizes, layersOf, demand } = of;
  const density = layersOf.map((layers, image) => demand[image]! / Math.max(1, layers.reduce((sum, layer) => sum + sizes[layer]!, 0)));
  const isThere = new Uint8Array(sizes.length);
  let usedBytes = 0;
  for (const image of [...layersOf.keys()].toSorted((a, b) => density[b]! - density[a]! || a - b)) {
    const fresh = layersOf[image]!.filter((layer) => isThere[layer] === 0);
    const bytes = fresh.reduce((sum, layer) => sum + sizes[layer]!, 0);
    if (usedBytes + bytes > capacityBytes) continue;
    usedBytes += bytes;
    for (const layer of fresh) isThere[layer] = 1;
  }
  return hitsOf(of, (layer) => isThere[layer] === 1);
}
