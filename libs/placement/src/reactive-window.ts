import { chooseByDensity } from './choose-by-density.js';
import { bytesOf, imagesWhere, include, isSameSet, isWithin, type LayerSet, listed, marginal } from './layer-table.js';
import { placePins } from './place-pins.js';
import type { RegionCase } from './region-case.js';
import { withSmallLayers } from './small-layers.js';

/** The part of the window in which images stay; the rest is free for what passes until the next plan. */
const STAYING_RATIO = 2 / 3;

/** What the window holds. */
export interface ReactiveWindow {
  /** The images in it: 1 for those. */
  readonly images: Uint8Array;
  /** The base, and all of their layers. */
  readonly layers: LayerSet;
  /** What all that is chosen, the base included, may come to: the capacity without what of the window is free. */
  readonly capacityBytes: number;
}

/**
 * Has images stay for which layers passed through the region's gateway, and that were pulled lately, whatever is expected of them: bursts come faster than any forecast, and what has passed was paid by the
 * pull. Only images of which all has passed that demand would not place: the window orders nothing of its own. Those that demand alone would place are left out, as they need no window. In the order of the parameters, whole images, each
 * as long as it fits. The rest of the capacity is what demand has, however full the window is: else copies would be made that give way to the next that passes.
 * @param base what cannot go, is retained, pinned or small.
 */
export function reactiveWindow(region: RegionCase, base: LayerSet): ReactiveWindow {
  const { facts, table, values, rule } = region;
  const windowBytes = facts.parameters.reactiveRatio * facts.capacityBytes;
  const demandBytes = facts.capacityBytes - windowBytes;
  const images = new Uint8Array(table.images.length);
  if (windowBytes === 0 || !facts.replicas.some((replica) => replica.passed === true)) return { images, layers: base, capacityBytes: demandBytes };

  const planned = chooseByDensity(table, { candidates: imagesWhere(table, (image) => values[image]! > 0), values, rule, base: withoutRetained(region, base), capacityBytes: demandBytes });
  const there = planned.layers;
  const layers = base.slice();
  let leftBytes = windowBytes * STAYING_RATIO;
  let stayingBytes = 0;
  let roomBytes = facts.capacityBytes - bytesOf(table, base);
  for (const { image } of passedLately(region, there)) {
    const addedBytes = marginal(table, image, there);
    const neededBytes = marginal(table, image, layers);
    if (isWithin(table, image, there) || addedBytes > leftBytes || neededBytes > roomBytes) continue;
    images[image] = 1;
    leftBytes -= addedBytes;
    stayingBytes += addedBytes;
    roomBytes -= neededBytes;
    include(table, image, there);
    include(table, image, layers);
  }
  return { images, layers, capacityBytes: Math.min(facts.capacityBytes, demandBytes + stayingBytes) };
}

/** The base as it were without what is retained: small layers are chosen anew, as one that is retained from now on may have been one of them. */
function withoutRetained(region: RegionCase, base: LayerSet): LayerSet {
  if (isSameSet(region.stuck, region.forced)) return base;
  const unretained = { ...region, forced: region.stuck };
  return withSmallLayers(unretained, placePins(unretained, region.facts.capacityBytes).base).layers;
}

/** Images with enough recent pulls of which everything has passed that demand would not place, in the order of the parameters. */
function passedLately({ table, expected, facts, replicaOf }: RegionCase, planned: LayerSet): { readonly image: number; readonly urgency: number }[] {
  const { reactivePullsMin, reactiveOrder } = facts.parameters;
  const hasPassed = (image: number): boolean => [...listed(table.layersOf, image)].every((layer) => planned[layer] === 1 || replicaOf[layer]?.passed === true || table.viewOf[image] === layer);
  const passed = imagesWhere(table, (image) => (expected[image]!.recentPulls ?? 0) >= reactivePullsMin && hasPassed(image)).map((image) => {
    const pulls = expected[image]!.recentPulls!;
    return { image, urgency: reactiveOrder === 'density' ? pulls / Math.max(1, table.imageBytes[image]!) : pulls };
  });
  return passed.sort((a, b) => b.urgency - a.urgency || a.image - b.image);
}
