import { bytesOf, hasImages, imagesWhere, include, isWithin, type LayerSet, layerSet, listed, marginal, union, without } from './layer-table.js';
import { keepFitting } from './place-pins.js';
import type { RegionCase } from './region-case.js';

/** The part of the window in which images stay; the rest is free for what passes until the next plan. */
const STAYING_RATIO = 2 / 3;

/** What the window holds. */
export interface ReactiveWindow {
  /** The images in it: 1 for those. */
  readonly images: Uint8Array;
  /** The layers that are there for them alone, or because they cannot go. */
  readonly layers: LayerSet;
}

/** What a gateway made of bytes that passed, and nobody ordered. What no image has is not among it: no plan could order it. */
export function passedLayers({ table, replicaOf }: RegionCase): LayerSet {
  return layerSet(table, (layer) => replicaOf[layer]?.passed === true && hasImages(table, layer));
}

/** What the window may hold, in bytes. */
export function windowBytes({ facts }: RegionCase): number {
  return facts.parameters.reactiveRatio * facts.capacityBytes;
}

/** Of what passed and cannot go, as much as the window has room for. */
export function stuckInWindow(region: RegionCase, stuck: LayerSet): LayerSet {
  const inWindow = new Uint8Array(stuck.length);
  const passed = passedLayers(region);
  keepFitting(region, [...stuck.keys()].filter((layer) => stuck[layer] === 1 && passed[layer] === 1), { sets: [inWindow], roomBytes: windowBytes(region) });
  return inWindow;
}

/**
 * Has images stay for which layers passed through the region's gateway, and that were pulled lately, whatever is expected of them: bursts come faster than any forecast, and what has passed was paid by the
 * pull. Only images of which all has passed that demand has not placed: the window orders nothing of its own. In the order of the parameters, whole images, each as long as it fits.
 * @param placed what demand has placed.
 * @param stuck what passed besides, and cannot go.
 */
export function reactiveWindow(region: RegionCase, placed: LayerSet, stuck: LayerSet): ReactiveWindow {
  const { facts, table } = region;
  const images = new Uint8Array(table.images.length);
  const there = union(placed, stuck);
  const stuckBytes = bytesOf(table, without(stuck, placed));
  let leftBytes = Math.min(windowBytes(region) * STAYING_RATIO - stuckBytes, facts.capacityBytes - bytesOf(table, there));
  for (const { image } of leftBytes > 0 ? passedLately(region, placed) : []) {
    const addedBytes = marginal(table, image, there);
    if (addedBytes > leftBytes) continue;
    images[image] = 1;
    leftBytes -= addedBytes;
    include(table, image, there);
  }
  return { images, layers: without(there, placed) };
}

/** Images with enough recent pulls of which everything has passed that demand has not placed, in the order of the parameters. */
function passedLately({ table, expected, facts, replicaOf }: RegionCase, placed: LayerSet): { readonly image: number; readonly urgency: number }[] {
  const { reactivePullsMin, reactiveOrder } = facts.parameters;
  const isThere = (layer: number): boolean => placed[layer] === 1 || replicaOf[layer]?.passed === true;
  const isAsked = (image: number): boolean => (expected[image]!.recentPulls ?? 0) >= reactivePullsMin && !isWithin(table, image, placed);
  const passed = imagesWhere(table, (image) => isAsked(image) && listed(table.layersOf, image).every(isThere)).map((image) => {
    const pulls = expected[image]!.recentPulls!;
    return { image, urgency: reactiveOrder === 'density' ? pulls / Math.max(1, table.imageBytes[image]!) : pulls };
  });
  return passed.sort((a, b) => b.urgency - a.urgency || a.image - b.image);
}
