import type { Claimed } from '#claims';
import type { Clock } from '#clock';
import type { Digest } from '#oci';
import type { Share } from '#shares';

import type { ReplicaCopy } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { LayerRecord, LayerRecords } from './replication-ports.js';

/** What making a replica begins and ends with, wherever its bytes come from. */
export interface WholeReplicaPorts {
  readonly store: Pick<ReplicaStore, 'complete'>;
  readonly records: LayerRecords;
  readonly clock: Clock;
}

/** @throws {ReplicationError} `RECORD_MISSING`, transient. */
export async function recordOf(records: LayerRecords, layer: Digest): Promise<LayerRecord> {
  const record = await records.find(layer);
  if (record === undefined) throw recordMissing(layer);
  return record;
}

/** Final names are only given to files that were verified whole; the metadata tells for which bytes. */
export async function isWhole(share: Share, path: string, record: LayerRecord, signal: AbortSignal): Promise<boolean> {
  const file = await share.stat(path, signal);
  return file !== undefined && file.sizeBytes === record.vhd.sizeBytes && file.metadata['vhd_digest'] === record.vhd.digest;
}

/**
 * Settles the claim of a replica whose file stands whole under its final name, as `record` says.
 * @throws {ReplicationError} `RECORD_MISSING` when the layer was expanded again meanwhile and has another file now: the next try makes that one; `CLAIM_LOST`.
 */
export async function settleWhole({ store, records, clock }: WholeReplicaPorts, { item: replica, claim }: Claimed<ReplicaCopy>, record: LayerRecord): Promise<void> {
  if ((await recordOf(records, replica.layer)).vhd.digest !== record.vhd.digest) throw recordMissing(replica.layer);
  if (!(await store.complete(claim.id, record.vhd.sizeBytes, clock.now()))) throw claimLost(replica);
}

/** @throws {ReplicationError} `SHARE_UNKNOWN` */
export function shareNamed(shares: ReadonlyMap<string, Share>, name: string): Share {
  const share = shares.get(name);
  if (share === undefined) throw new ReplicationError('SHARE_UNKNOWN', `the configuration names no share ${name}`, { details: { share: name } });
  return share;
}

/** The error of whoever makes a replica and holds its claim no more. */
export function claimLost({ layer, share }: ReplicaCopy): ReplicationError {
  return new ReplicationError('CLAIM_LOST', `another worker copies ${layer} to ${share} now`, { transient: true, details: { layer, share } });
}

function recordMissing(layer: Digest): ReplicationError {
  return new ReplicationError('RECORD_MISSING', `${layer} has no record at the moment, or a new one`, { transient: true, details: { layer } });
}
