import { bytesOf, include, type LayerSet, marginal, numberOfImage } from './layer-table.js';
import type { PinTurn, RegionCase } from './region-case.js';
import { imageKey, type RegionPin } from './region-facts.js';

/** What came of the pins. */
export interface PlacedPins {
  /** The pins of placeable images, in the order of their right. */
  readonly pinTurns: readonly PinTurn[];
  /** What cannot go, the layers of met pins, and `retained`. */
  readonly base: LayerSet;
  /** What was kept at the turns of pins whose images are unfinished. */
  readonly retained: LayerSet;
}

/**
 * Takes pins by their right. One that does not fit is passed over: none below it could make room for it.
 * @param layersKept by the key of an unfinished image, layers that are there and kept at its pin's turn, in this order as long as they fit.
 */
export function placePins(region: RegionCase, capacityBytes: number, layersKept: ReadonlyMap<string, readonly number[]> = new Map()): PlacedPins {
  const { facts, table, forced } = region;
  const base = forced.slice();
  const retained = new Uint8Array(base.length);
  let usedBytes = bytesOf(table, base);
  const pinTurns: PinTurn[] = [];
  const seen = new Set<number>();
  for (const pin of facts.pins.toSorted(compareRegionPins)) {
    const key = imageKey(pin.image);
    const image = numberOfImage(table, key);
    if (image === undefined) usedBytes += keepFitting(region, layersKept.get(key) ?? [], { sets: [base, retained], roomBytes: capacityBytes - usedBytes });
    if (image === undefined || seen.has(image)) continue;
    seen.add(image);
    const marginalBytes = marginal(table, image, base);
    const met = marginalBytes === 0 || usedBytes + marginalBytes <= capacityBytes;
    if (met) {
      include(table, image, base);
      usedBytes += marginalBytes;
    }
    pinTurns.push({ pin, image, met, marginalBytes, usedBytes });
  }
  return { pinTurns, base, retained };
}

/** Puts the layers that the first set has not, each if it fits what room is left, into all sets. @returns their bytes. */
export function keepFitting({ table }: RegionCase, layers: Iterable<number>, into: { readonly sets: readonly LayerSet[]; readonly roomBytes: number }): number {
  let keptBytes = 0;
  for (const layer of layers) {
    const sizeBytes = table.sizes[layer] ?? 0;
    if (into.sets[0]?.[layer] === 1 || keptBytes + sizeBytes > into.roomBytes) continue;
    keptBytes += sizeBytes;
    for (const set of into.sets) set[layer] = 1;
  }
  return keptBytes;
}

function compareRegionPins(a: RegionPin, b: RegionPin): number {
  const keys = [`${a.id} ${imageKey(a.image)}`, `${b.id} ${imageKey(b.image)}`] as const;
  return b.priority - a.priority || a.createdAt.getTime() - b.createdAt.getTime() || (keys[0] < keys[1] ? -1 : keys[0] > keys[1] ? 1 : 0);
}
