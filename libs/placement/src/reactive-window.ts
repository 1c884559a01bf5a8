import { chooseByDensity } from './choose-by-density.js';
import { bytesOf, imagesWhere, include, isSameSet, isWithin, type LayerSet, marginal } from './layer-table.js';
import { placePins } from './place-pins.js';
import type { RegionCase } from './region-case.js';
import type { RecentPulls } from './region-facts.js';

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
  const { reactiveRatio, reactiveOrder } = facts.parameters;
  const images = new Uint8Array(table.images.length);
  const windowBytes = reactiveRatio * facts.capacityBytes;
  if (windowBytes === 0 || facts.recentPulls === undefined || facts.recentPulls.size === 0) return { images, layers: base };

  const planned = chooseByDensity(table, { candidates: imagesWhere(table, (image) => values[image]! > 0), values, rule, base: withoutRetained(region, base), capacityBytes: facts.capacityBytes - windowBytes });
  const there = planned.layers;
  let leftBytes = Math.min(windowBytes, facts.capacityBytes - bytesOf(table, there));
  const layers = base.slice();
  let roomBytes = facts.capacityBytes - bytesOf(table, base);
  for (const { image } of inOrder(region, facts.recentPulls, ORDERS[reactiveOrder])) {
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

/** The greater, the sooner. */
type Urgency = (pulls: RecentPulls, imageBytes: number) => number;

const ORDERS: Readonly<Record<RegionCase['facts']['parameters']['reactiveOrder'], Urgency>> = {
  recency: ({ lastPulledAt }) => lastPulledAt.getTime(),
  density: ({ pulls }, imageBytes) => pulls / Math.max(1, imageBytes),
};

function inOrder({ table, facts }: RegionCase, recent: ReadonlyMap<string, RecentPulls>, urgencyOf: Urgency): { readonly image: number; readonly urgency: number }[] {
  const pulled = [...recent].flatMap(([key, pulls]) => {
    const image = table.imageNumber.get(key);
    return image === undefined || pulls.pulls < facts.parameters.reactivePullsMin ? [] : [{ image, urgency: urgencyOf(pulls, table.imageBytes[image]!) }];
  });
  return pulled.sort((a, b) => b.urgency - a.urgency || a.image - b.image);
}
