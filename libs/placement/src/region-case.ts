import type { ImageForecast } from '#demand';

import { type BreakEven, breakEvenOf } from './break-even.js';
import { worthOf, worthOfPart } from './image-worth.js';
import { type BundleTable, hasImages, type LayerSet, layerSet, type LayerTable, tabulate } from './layer-table.js';
import type { HeldReplica, RegionFacts, RegionPin } from './region-facts.js';
import { type SharedParts, sharedParts } from './shared-parts.js';
import { STEP_COUNT } from './steps.js';

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
  readonly expected: readonly ImageForecast[];
  /** What competes for room: the images of the table, by the same numbers, and behind them the parts that they share, where bytes have a worth. */
  readonly bundles: BundleTable;
  /** Those parts; absent where there are none. */
  readonly parts?: SharedParts | undefined;
  /** Pulls expected of each bundle. */
  readonly pulls: Float64Array;
  /** What each bundle is worth; 0 where nothing is expected. */
  readonly values: Float64Array;
  /** What bundles that are not there must bring back. */
  readonly rule: BreakEven;
  /** The replica of each layer, by its number. */
  readonly replicaOf: readonly (HeldReplica | undefined)[];
  /** Layers that are there or on their way: every replica but the draining ones. */
  readonly held: LayerSet;
  /** Layers that cannot go now. */
  readonly stuck: LayerSet;
  /** These, and, away from home, those that are retained. */
  readonly forced: LayerSet;
}

/** What should be there. */
export interface Target {
  /** Pins in the order of their right. */
  readonly pinTurns: readonly PinTurn[];
  /** Forced layers, those of pins that are met, and small ones. */
  readonly base: LayerSet;
  /** Bytes of small layers that are neither forced nor pinned. */
  readonly smallLayerBytes: number;
  /** Images that are whole for the sake of the reactive window: 1 for those. */
  readonly recent: Uint8Array;
  /** The layers that are there for the window alone, or because they passed and cannot go: nobody orders them. */
  readonly passed: LayerSet;
  /** Everything that should be there. */
  readonly layers: LayerSet;
  /** What that may come to, but for what cannot go: what demand may fill, and what the window holds. */
  readonly capacityBytes: number;
}

const NOTHING_EXPECTED: ImageForecast = { expectedPulls: 0, ownPulls: 0, inheritedPulls: 0, elsewherePulls: 0, probability: 0, low: 0, high: 0 };

/** Numbers the facts, values the images, and finds what cannot go; in steps. */
export function* openCase(facts: RegionFacts): Generator<undefined, RegionCase> {
  const { table, replicaOf } = yield* tabulate(facts.images, facts.replicas);
  const expected: ImageForecast[] = [];
  for (const [image, key] of table.keys.entries()) {
    if (image % STEP_COUNT === 0) yield;
    expected.push(facts.forecasts.get(key) ?? NOTHING_EXPECTED);
  }
  // At home everything stays that is needed, whatever it is worth.
  const parts = facts.home || facts.parameters.gigabyteWeight === 0 ? undefined : yield* sharedParts(table);
  const bundles = parts?.bundles ?? table;
  yield;
  const pulls = new Float64Array(bundles.imageBytes.length);
  const values = new Float64Array(pulls.length);
  for (const [image, forecast] of expected.entries()) {
    pulls[image] = forecast.expectedPulls;
    values[image] = worthOf(forecast, table.imageBytes[image]! - (parts?.partBytes[image] ?? 0), facts.parameters);
  }
  yield;
  for (const [n, images] of parts?.imagesOf.entries() ?? []) {
    const part = expected.length + n;
    for (const image of images) pulls[part] = pulls[part]! + pulls[image]!;
    values[part] = worthOfPart(pulls[part]!, bundles.imageBytes[part]!, facts.parameters);
  }
  const rule = breakEvenOf(facts.parameters, { pulls, imageBytes: bundles.imageBytes, imageCount: expected.length });
  yield;
  const region = { facts, table, bundles, parts, expected, pulls, values, rule, replicaOf };
  const stuck = yield* stuckLayers(region);
  return {
    ...region,
    stuck,
    forced: stuck,
    held: layerSet(table, (layer) => (replicaOf[layer]?.state ?? 'draining') !== 'draining'),
  };
}

/** The same case once some layers that drain are ready again: ordered, also those that had passed; in steps. */
export function* recall(region: RegionCase, recalled: LayerSet): Generator<undefined, RegionCase> {
  const replicaOf = region.replicaOf.map((replica, layer) => (replica?.state === 'draining' && recalled[layer] === 1 ? { ...replica, state: 'ready' as const, passedAt: undefined } : replica));
  const stuck = yield* stuckLayers({ ...region, replicaOf });
  return { ...region, replicaOf, stuck, forced: stuck };
}

/** The layers that cannot go; in steps. */
function* stuckLayers({ facts, table, replicaOf }: Pick<RegionCase, 'facts' | 'table' | 'replicaOf'>): Generator<undefined, LayerSet> {
  const stuck = new Uint8Array(table.layers.length);
  for (let layer = 0; layer < stuck.length; layer += 1) {
    if (layer % STEP_COUNT === 0) yield;
    const replica = replicaOf[layer];
    if (replica === undefined || replica.state === 'draining') continue;
    // Referenced, but by no image that may be placed: within its grace time, or of unfinished images alone.
    const isNeeded = (): boolean => facts.mustKeep.has(replica.layer) || (!hasImages(table, layer) && facts.referenced.has(replica.layer));
    if (replica.leased || replica.state === 'copying' || (replica.state === 'ready' && isNeeded())) stuck[layer] = 1;
  }
  return stuck;
}
