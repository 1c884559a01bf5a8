import { MemoryShare } from '#shares/testing';

import { expandView } from '../expand-view.js';
import type { ExpandedLayer } from '../expanded-layer.js';
import { DEFAULT_EXPANSION_LIMITS } from '../expansion-limits.js';
import { mergedViewDigest } from '../merged-view-digest.js';
import { expandBytes, type ExpandBytesOptions, layerOf } from './expand-bytes.js';

/** The layers of an image on a memory share, the lowest first. */
export interface ExpandedStack {
  readonly share: MemoryShare;
  readonly layers: readonly ExpandedLayer[];
}

/** Expands tars onto one memory share. @param tars the lowest layer first; the same one twice is the same layer twice. */
export async function expandStack(tars: Iterable<Uint8Array>, share = new MemoryShare({ name: 'home' })): Promise<ExpandedStack> {
  const layers: ExpandedLayer[] = [];
  for (const tar of tars) layers.push((await expandBytes(layerOf(tar), { share })).expanded);
  return { share, layers };
}

/** Makes the merged view of layers that are on a memory share: at least two distinct ones. */
export async function expandViewOf({ share, layers }: ExpandedStack, options: Omit<ExpandBytesOptions, 'share' | 'chunkBytes'> = {}): Promise<ExpandedLayer> {
  return expandView({
    view: mergedViewDigest(layers.map((layer) => layer.digest))!,
    layers,
    share,
    claimId: options.claimId ?? 'attempt',
    isHeld: options.isHeld ?? (() => Promise.resolve(true)),
    signal: options.signal ?? new AbortController().signal,
    limits: { ...DEFAULT_EXPANSION_LIMITS, ...options.limits },
  });
}
