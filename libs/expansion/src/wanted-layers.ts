import type { Digest } from '#oci';

import type { LayerRefusal, WantedLayer } from './expanded-layer-store.js';
import { refusalOfMediaType } from './layer-media-types.js';

/** Why what is wanted is not expanded whatever its bytes are; undefined when it is. Only the service itself wants views. */
export function refusalOfWanted(layer: WantedLayer): LayerRefusal | undefined {
  return layer.stacks === undefined ? refusalOfMediaType(layer.mediaType) : undefined;
}

/**
 * One row per digest: a view before any layer, among layers the last claim that is expanded, with the largest priority of all. By digest, so that two
 * callers lock rows in the same order.
 */
export function oneForEach(layers: readonly WantedLayer[]): WantedLayer[] {
  const byDigest = new Map<Digest, WantedLayer>();
  for (const layer of layers) {
    const before = byDigest.get(layer.digest);
    const better = before === undefined || isBetter(layer, before) ? layer : before;
    byDigest.set(layer.digest, { ...better, priority: Math.max(layer.priority, before?.priority ?? layer.priority) });
  }
  return [...byDigest.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

function isBetter(layer: WantedLayer, before: WantedLayer): boolean {
  return layer.stacks !== undefined || (before.stacks === undefined && refusalOfWanted(layer) === undefined);
}
