import type { Claimed } from '#claims';
import type { Clock } from '#clock';
import type { CodedError } from '#errors';
import { type Digest, OciError } from '#oci';
import { SECOND_MS } from '#quantities';
import type { Share } from '#shares';

import type { LayerExpansion } from './expand-layer.js';
import type { ExpandedLayer, LayerToExpand } from './expanded-layer.js';
import type { ExpandedLayerStore, WantedLayer } from './expanded-layer-store.js';
import { ExpansionError } from './expansion-error.js';

/** How often at most the progress of an expansion is written down. */
export const EXPANSION_PROGRESS_MS = SECOND_MS;

/** Where the bytes of layers come from. */
export abstract class LayerBlobs {
  /**
   * Opens a blob as the repository serves it, from its first byte.
   * @throws what the registry's client throws; aborting `signal` ends the stream.
   */
  abstract open(repository: string, layer: LayerToExpand, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

/** Who keeps the record of which share holds what. */
export abstract class HomeReplicas {
  /**
   * Notes that `share` holds the layer, whole. Idempotent.
   * @throws when it cannot be noted now, for example while that replica is being removed.
   */
  abstract ready(layer: Digest, share: string, sizeBytes: number): Promise<void>;
}

/** How often a blob must come with the wrong digest before its layer is refused: what some proxy spoiled may come right the next time. */
export const WRONG_DIGESTS_MAX = 3;

/** What {@link expandWantedLayer} works with. */
export interface ExpansionPorts {
  readonly store: ExpandedLayerStore;
  readonly blobs: LayerBlobs;
  readonly replicas: HomeReplicas;
  /** `expandLayer`, or one like it. */
  readonly expand: (expansion: LayerExpansion) => Promise<ExpandedLayer>;
  readonly homeShare: Share;
  readonly clock: Clock;
}

/**
 * Expands one claimed layer onto the home share, records the replica, and settles the claim. A layer that can never be expanded is settled
 * as refused, with its reason; everything else is thrown, and the loop tries it again later. A crash between any two steps repeats them:
 * the same layer gives the same bytes.
 */
export async function expandWantedLayer(ports: ExpansionPorts, claimed: Claimed<WantedLayer>, signal: AbortSignal): Promise<void> {
  const { store, blobs, replicas, expand, homeShare, clock } = ports;
  const { item: layer, claim } = claimed;
  const reading = { readBytes: 0 };
  let expanded: ExpandedLayer;
  try {
    const blob = await blobs.open(layer.repository, layer, signal);
    const isHeld = (): Promise<boolean> => store.progress(claim.id, reading.readBytes);
    expanded = await expand({ layer, blob: counted(ports, claim.id, { blob, reading }), share: homeShare, claimId: claim.id, isHeld, signal });
  } catch (error) {
    if (!isRefusal(error) || (error.code === 'DIGEST_MISMATCH' && claim.attempt < WRONG_DIGESTS_MAX)) throw error;
    await store.refuse(claim.id, { code: error.code, message: error.message });
    return;
  }
  // Whoever lost the claim records nothing: another worker has taken over, and the layer may even be drained and forgotten by now.
  if (!(await store.progress(claim.id, layer.sizeBytes))) return;
  await replicas.ready(layer.digest, homeShare.name, expanded.vhd.sizeBytes);
  await store.complete(claim.id, expanded, clock.now());
}

/** Whether the layer itself is to blame. A source that verifies what it gives may be the first to see that it is not the blob. */
function isRefusal(error: unknown): error is CodedError {
  if (error instanceof OciError) return error.code === 'DIGEST_MISMATCH';
  return error instanceof ExpansionError && !error.transient;
}

/** The same blob; what was read of it is written down from time to time. */
async function* counted(
  { store, clock }: ExpansionPorts,
  claimId: string,
  { blob, reading }: { readonly blob: AsyncIterable<Uint8Array>; readonly reading: { readBytes: number } },
): AsyncIterable<Uint8Array> {
  let nextAt = clock.now().getTime();
  for await (const chunk of blob) {
    yield chunk;
    reading.readBytes += chunk.length;
    if (clock.now().getTime() < nextAt) continue;
    await store.progress(claimId, reading.readBytes);
    nextAt = clock.now().getTime() + EXPANSION_PROGRESS_MS;
  }
}
