import { chooseByDensity } from './choose-by-density.js';
import { bytesOf, imagesWhere, include, isSameSet, isWithin, type LayerSet, marginal } from './layer-table.js';
import { placePins } from './place-pins.js';
import type { RegionCase } from './region-case.js';

/** What the window holds. */
export interface ReactiveWindow {
  /** The images in it: 1 for those. */
  readonly images: Uint8Array;
  /** The base, and all of their layers. */
  readonly layers: LayerSet;
}

/**
 * Gives a part of the capacity to images that were pulled lately, whatever is expected of them: bursts come faster than any forecast. Those that demand alone would place are left out, as they need no
 * window. In the order of the parameters, whole images, each as long as it fits. Depends on what cannot go and on the facts, not on what is there, nor on what is retained because it is: so what is in
 * the window does not depend on what was in it.
 * @param base what cannot go, is retained, pinned or small.
 */
export function reactiveWindow(region: RegionCase, base: LayerSet): ReactiveWindow {
  const { facts, table, values, rule } = region;
  const { reactiveRatio } = facts.parameters;
  const images = new Uint8Array(table.images.length);
  const windowBytes = reactiveRatio * facts.capacityBytes;
  const pulled = windowBytes === 0 ? [] : pulledLately(region);
  if (pulled.length === 0) return { images, layers: base };

  const planned = chooseByDensity(table, { candidates: imagesWhere(table, (image) => values[image]! > 0), values, rule, base: withoutRetained(region, base), capacityBytes: facts.capacityBytes - windowBytes });
  const there = planned.layers;
  let leftBytes = Math.min(windowBytes, facts.capacityBytes - bytesOf(table, there));
  const layers = base.slice();
  let roomBytes = facts.capacityBytes - bytesOf(table, base);
  for (const { image } of pulled) {
    const addedBytes = marginal(table, image, there);
    const neededBytes = marginal(table, image, layers);
    if (isWithin(table, image, there) || addedBytes > leftBytes || neededBytes > roomBytes) continue;
    images[image] = 1;
    leftBytes -= addedBytes;
    roomBytes -= neededBytes;
    include(table, image, there);
    include(table, image, layers);
  }
  return { images, layers };
}

function withoutRetained(region: RegionCase, base: LayerSet): LayerSet {
  if (isSameSet(region.stuck, region.forced)) return base;
  const { base: pinned } = placePins({ ...region, forced: region.stuck }, region.facts.capacityBytes);
  return base.map((isIn, layer) => (isIn === 1 && region.forced[layer] === 1 && pinned[layer] !== 1 ? 0 : isIn));
}

/** Images with enough recent pulls, in the order of the parameters. */
function pulledLately({ table, expected, facts }: RegionCase): { readonly image: number; readonly urgency: number }[] {
  const { reactivePullsMin, reactiveOrder } = facts.parameters;
  const pulled = imagesWhere(table, (image) => (expected[image]!.recentPulls ?? 0) >= reactivePullsMin).map((image) => {
    const pulls = expected[image]!.recentPulls!;
    return { image, urgency: reactiveOrder === 'density' ? pulls / Math.max(1, table.imageBytes[image]!) : pulls };
  });
  return pulled.sort((a, b) => b.urgency - a.urgency || a.image - b.image);
}
