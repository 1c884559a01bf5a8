import type { ExpectedPulls } from '#demand';
import type { Digest } from '#oci';

import { type LayerSet, layerSet, type LayerTable, tabulate } from './layer-table.js';
import type { HeldReplica, RegionFacts, RegionPin } from './region-facts.js';
import { valueImages } from './value-images.js';

/** A pin at its turn: the bytes it adds, and the bytes used once it was placed, or, unmet, before it. */
export interface PinTurn {
  readonly pin: RegionPin;
  readonly image: number;
  readonly met: boolean;
  readonly marginalBytes: number;
  readonly usedBytes: number;
}

/** The facts of one region under dense numbers, with what is worth what. */
export interface RegionCase {
  readonly facts: RegionFacts;
  readonly table: LayerTable;
  readonly expected: readonly ExpectedPulls[];
  /** What each image is worth: its expected pulls. */
  readonly values: Float64Array;
  readonly replicas: ReadonlyMap<Digest, HeldReplica>;
  /** Layers that are there or on their way: every replica but the draining ones. */
  readonly held: LayerSet;
  /** Layers that cannot go now, and, away from home, those that are retained. */
  readonly forced: LayerSet;
}

/** What should be there. */
export interface Target {
  /** Pins in the order of their right. */
  readonly pinTurns: readonly PinTurn[];
  /** Forced layers and those of pins that are met. */
  readonly base: LayerSet;
  /** Everything that should be there. */
  readonly layers: LayerSet;
}

/** Numbers the facts, values the images, and finds what cannot go. */
export function openCase(facts: RegionFacts): RegionCase {
  const table = tabulate(facts.images, facts.replicas);
  const expected = valueImages(table.images, facts);
  const replicas = new Map(facts.replicas.map((replica) => [replica.layer, replica]));
  const stays = (layer: Digest): boolean => {
    const replica = replicas.get(layer);
    if (replica === undefined || replica.state === 'draining') return false;
    if (replica.leased || replica.state === 'copying') return true;
    if (replica.state !== 'ready') return false;
    // Referenced, but by no image that may be placed: within its grace time, or of unfinished images alone.
    const isLeftAlone = facts.referenced.has(layer) && (table.imagesOf[table.layerNumber.get(layer) ?? -1] ?? []).length === 0;
    return facts.mustKeep.has(layer) || isLeftAlone;
  };
  return {
    facts,
    table,
    expected,
    values: Float64Array.from(expected, (pulls) => pulls.total),
    replicas,
    held: layerSet(table, (layer) => (replicas.get(layer)?.state ?? 'draining') !== 'draining'),
    forced: layerSet(table, stays),
  };
}
