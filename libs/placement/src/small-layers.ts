import { bytesOf, type LayerSet } from './layer-table.js';
import { keepFitting } from './place-pins.js';
import type { RegionCase } from './region-case.js';

/** Small layers that go everywhere. */
export interface SmallLayers {
  /** The base and them. */
  readonly layers: LayerSet;
  /** What they add to the base. */
  readonly bytes: number;
}

/**
 * Adds the layers below `smallLayerBytes` of all images, wanted or not: half of all layers are below 1 MB, and together they are four of ten thousand bytes; where they are there, an image that
 * comes to be pulled lacks its large layers only. Those of the most valued images come first, each as long as it fits, and none beyond `smallLayersRatio` of the capacity.
 */
export function withSmallLayers(region: RegionCase, base: LayerSet): SmallLayers {
  const { facts, table, values } = region;
  const { smallLayerBytes, smallLayersRatio } = facts.parameters;
  if (smallLayersRatio === 0) return { layers: base, bytes: 0 };
  const valueOf = new Map<number, number>();
  // Those that are there anyway count, too: whether one cannot go, which may change, must not decide about another.
  const counted = new Set<number>();
  const { starts, values: layers } = table.layersOf;
  for (let image = 0; image < table.images.length; image += 1) {
    for (let at = starts[image]!; at < starts[image + 1]!; at += 1) {
      const layer = layers[at]!;
      if (table.sizes[layer]! >= smallLayerBytes) continue;
      if (base[layer] === 1) counted.add(layer);
      else valueOf.set(layer, (valueOf.get(layer) ?? 0) + values[image]!);
    }
  }
  if (valueOf.size === 0) return { layers: base, bytes: 0 };
  const byValue = [...valueOf].toSorted(([m, a], [n, b]) => b - a || table.sizes[m]! - table.sizes[n]! || m - n).map(([layer]) => layer);
  const all = base.slice();
  const countedBytes = [...counted].reduce((sum, layer) => sum + table.sizes[layer]!, 0);
  const roomBytes = Math.min(smallLayersRatio * facts.capacityBytes - countedBytes, facts.capacityBytes - bytesOf(table, base));
  return { layers: all, bytes: keepFitting(region, byValue, { sets: [all], roomBytes }) };
}
