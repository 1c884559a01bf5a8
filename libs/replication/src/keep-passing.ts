import type { Claimed } from '#claims';
import type { Digest } from '#oci';
import { expansionPartialPath, layerFilePath, removePartialFiles, type Share } from '#shares';

import type { CopyCheckpoint, ReplicaCopy } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import type { LayerRecord } from './replication-ports.js';
import { claimLost, isWhole, recordOf, settleWhole, shareNamed, type WholeReplicaPorts } from './whole-replica.js';

/** A layer's file to be made on a share from the layer's own bytes. */
export interface FileToMake {
  readonly layer: Digest;
  /** What must come out. */
  readonly record: LayerRecord;
  readonly share: Share;
  readonly claimId: string;
  /** Whether the claim is still held. */
  readonly isHeld: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** What {@link keepPassing} works with. */
export interface PassingPorts extends WholeReplicaPorts {
  readonly store: Pick<ReplicaStore, 'complete' | 'progress'>;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  /**
   * Expands the layer that passed: leaves the very file of the record, verified, under its final name, or throws and leaves nothing there. Its partial file is the one that an expansion
   * under this claim writes.
   */
  readonly expand: (file: FileToMake) => Promise<void>;
}

/**
 * Makes one claimed replica of bytes that are at hand, with the discipline of a copy: a name of the claim's own, the final name only for what is whole and equal to the record, and only while
 * the claim is held, then the settling of the claim. A file that stands there already is settled as it is. It may end anywhere: whoever claims the replica next copies it,
 * and goes on with what an earlier copy had.
 * @returns the record of what was made.
 * @throws {ReplicationError} `CLAIM_LOST`, `RECORD_MISSING`, `SHARE_UNKNOWN`, and what `expand`, shares and stores throw.
 */
export async function keepPassing(ports: PassingPorts, claimed: Claimed<ReplicaCopy>, signal: AbortSignal): Promise<LayerRecord> {
  const { item: replica, claim } = claimed;
  const { layer } = replica;
  const share = shareNamed(ports.shares, replica.share);
  const record = await recordOf(ports.records, layer);
  // What an earlier copy verified stays known until this file is whole: it may be the next one's again.
  const checkpoint: CopyCheckpoint = replica.checkpoint ?? { path: expansionPartialPath(layer, claim.id), pieces: new Uint8Array(0) };
  const isHeld = (): Promise<boolean> => ports.store.progress(claim.id, replica.copiedBytes, checkpoint);
  if (!(await isHeld())) throw claimLost(replica);
  if (!(await isWhole(share, layerFilePath(layer, record.writerVersion), record, signal))) {
    await ports.expand({ layer, record, share, claimId: claim.id, isHeld, signal });
  }
  const ensureHeld = async (): Promise<void> => {
    if (!(await isHeld())) throw claimLost(replica);
  };
  await removePartialFiles(share, layer, { ensureHeld, signal });
  await settleWhole(ports, claimed, record);
  return record;
}
