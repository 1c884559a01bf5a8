import { MINUTE_MS } from '#quantities';

import { bytesOf, hasImages, isWithin, type LayerSet, layerSet, union, without } from './layer-table.js';
import { keepFitting } from './place-pins.js';
import type { RegionCase } from './region-case.js';

/** The part of the window down to which its gateway has what passed longest ago go: room is there before the next comes, as a drain takes its time. */
const STAYING_RATIO = 2 / 3;
/** What passed within this time stays as long as the window holds it: an image's layers pass one after the other, and nothing is gained by one of them driving out another. */
export const PASSED_TOGETHER_MS = 15 * MINUTE_MS;

/** How much may be there that passed, and that nobody ordered: bytes. */
export interface WindowLimits {
  /** At most. */
  readonly bytesMax: number;
  /** What it is brought down to by what passed longest ago, but for what has passed just now. */
  readonly stayingBytes: number;
}

/** What the window holds. */
export interface ReactiveWindow {
  /** The images that are whole for its sake: 1 for those. */
  readonly images: Uint8Array;
  /** The layers that are there for it alone, or because they cannot go. */
  readonly layers: LayerSet;
}

/** The limits of the window in a share of that capacity, whole bytes. */
export function windowLimits(reactiveRatio: number, capacityBytes: number): WindowLimits {
  const bytesMax = Math.floor(reactiveRatio * capacityBytes);
  return { bytesMax, stayingBytes: Math.floor(bytesMax * STAYING_RATIO) };
}

/** What a gateway made of bytes that passed, and nobody ordered. What no image has is not among it, for no plan could order it; nor what drains, for to recall it is to order it. */
export function passedLayers({ table, replicaOf }: RegionCase): LayerSet {
  return layerSet(table, (layer) => replicaOf[layer]?.passedAt !== undefined && replicaOf[layer].state !== 'draining' && hasImages(table, layer));
}

/** What the window may hold, in bytes. */
export function windowBytes({ facts }: RegionCase): number {
  return windowLimits(facts.parameters.reactiveRatio, facts.capacityBytes).bytesMax;
}

/** Of what passed and cannot go, as much as the window has room for. */
export function stuckInWindow(region: RegionCase, stuck: LayerSet): LayerSet {
  const inWindow = new Uint8Array(stuck.length);
  const passed = passedLayers(region);
  keepFitting(region, numbersIn(stuck).filter((layer) => passed[layer] === 1), { sets: [inWindow], roomBytes: windowBytes(region) });
  return inWindow;
}

/**
 * Has stay what passed through the region's gateway and demand has not placed, what passed last first, as long as it fits: bursts come faster than any forecast, and what has passed was paid by the pull.
 * It orders nothing, and takes nothing back that drains: within the window the gateway decides what goes, when more passes.
 * @param placed what demand has placed.
 * @param stuck what passed besides, and cannot go.
 */
export function reactiveWindow(region: RegionCase, placed: LayerSet, stuck: LayerSet): ReactiveWindow {
  const { facts, table } = region;
  const there = union(placed, stuck);
  const passed = passedLayers(region);
  const staying = numbersIn(passed).filter((layer) => there[layer] !== 1).sort((a, b) => passedAtMs(region, b) - passedAtMs(region, a) || a - b);
  const roomBytes = Math.min(windowBytes(region) - bytesOf(table, without(stuck, placed)), facts.capacityBytes - bytesOf(table, there));
  keepFitting(region, staying, { sets: [there], roomBytes });
  const images = Uint8Array.from(table.images, (_, image) => Number(isWithin(table, image, there) && !isWithin(table, image, placed)));
  return { images, layers: without(there, placed) };
}

function passedAtMs({ replicaOf }: RegionCase, layer: number): number {
  return replicaOf[layer]?.passedAt?.getTime() ?? 0;
}

function numbersIn(layers: LayerSet): number[] {
  const numbers: number[] = [];
  for (let layer = 0; layer < layers.length; layer += 1) if (layers[layer] === 1) numbers.push(layer);
  return numbers;
}
