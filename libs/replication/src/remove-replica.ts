import type { Claimed } from '#claims';
import { after, type Clock } from '#clock';
import { MINUTE_MS } from '#quantities';
import { layerFilePaths, removePartialFiles, type Share, ShareError } from '#shares';

import { shareNamed } from './copy-replica.js';
import type { Replica } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { ReplicaHolds } from './replication-ports.js';

/** How long to wait for clients that hold a file open without a lease. */
export const FILE_IN_USE_WAIT_MS = MINUTE_MS;

/** What {@link removeReplica} works with. */
export interface RemovalPorts {
  readonly store: ReplicaStore;
  readonly holds: ReplicaHolds;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  readonly clock: Clock;
}

/**
 * Removes the file of one claimed replica, in every version that was ever made of it, and what was left of partial ones, and settles the claim. While a lease holds it, or a client has it open,
 * it is put off, with the reason. It may end anywhere and be repeated: a file that is gone already is fine. A replica that is ordered again before the
 * file is touched is ready again, and loses nothing; after that its removal goes on to the end.
 *
 * No lease can come between the look at the leases and the removal: the replica left the answers a grace time ago.
 */
export async function removeReplica(ports: RemovalPorts, claimed: Claimed<Replica>, signal: AbortSignal): Promise<void> {
  const { store, holds, shares, clock } = ports;
  const { item: replica, claim } = claimed;
  const share = shareNamed(shares, replica.share);
  const heldUntil = await holds.heldUntil(replica.layer, replica.share, clock.now());
  if (heldUntil !== undefined && heldUntil > clock.now()) {
    await store.removals.postpone(claim.id, heldUntil, `leased by a node until ${heldUntil.toISOString()}`);
    return;
  }
  // Who lost the claim must not remove anything: it was recalled, or the next one has removed it already, and a new copy may stand there.
  if (!(await store.beginRemoval(claim.id))) {
    throw new ReplicationError('CLAIM_LOST', `${replica.layer} on ${replica.share} was recalled, or another worker removes it now`, { transient: true });
  }
  try {
    for (const path of layerFilePaths(replica.layer)) await share.remove(path, signal);
  } catch (error) {
    if (!(error instanceof ShareError) || error.code !== 'FILE_IN_USE') throw error;
    await store.removals.postpone(claim.id, after(clock.now(), FILE_IN_USE_WAIT_MS), error.message);
    return;
  }
  await removePartialFiles(share, replica.layer, { signal });
  await store.gone(claim.id);
}
