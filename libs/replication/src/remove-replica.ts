import type { Claimed } from '#claims';
import type { Clock } from '#clock';
import { DAY_MS, MINUTE_MS } from '#quantities';
import { layerFilePaths, removePartialFiles, type Share, ShareError } from '#shares';

import type { Replica } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { ReplicaHolds } from './replication-ports.js';
import { shareNamed } from './whole-replica.js';

/** How long to wait for clients that hold a file open without a lease. */
export const FILE_IN_USE_WAIT_MS = MINUTE_MS;

/** How long leases on a draining replica may be renewed, unless the operator says otherwise. */
export const DRAIN_MAX_MS = DAY_MS;

/** A replica that drained for longer than its limit: the leases on it now run out. */
export interface ForcedDrain {
  readonly layer: Replica['layer'];
  readonly share: string;
  readonly drainingSince: Date;
  /** Leases on it that hold now, and are not renewed any more. */
  readonly leaseCount: number;
  /** When the last of them will have run out. */
  readonly heldUntil: Date;
}

/** A replica whose file clients have open although nobody holds a lease on it. */
export interface OpenReplica {
  readonly layer: Replica['layer'];
  readonly share: string;
  /** Handles on its files. */
  readonly handleCount: number;
  /** Whether they were closed, because it drained for longer than its limit and the operator has that done; otherwise they are waited for. */
  readonly closed: boolean;
}

/** What {@link removeReplica} works with. */
export interface RemovalPorts {
  readonly store: ReplicaStore;
  readonly holds: ReplicaHolds;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  readonly clock: Clock;
  /** For how long after its drain began leases on a replica may be renewed. Default {@link DRAIN_MAX_MS}. */
  readonly drainMaxMs?: number | undefined;
  /** Hears of each look at a replica that drains for longer and is still leased. */
  readonly onForced?: ((forced: ForcedDrain) => void) | undefined;
  /** Whether handles are closed once a replica has drained for longer than {@link drainMaxMs}. Default: they are waited for. */
  readonly forceClose?: boolean | undefined;
  /** Hears of each look at a replica that is open. */
  readonly onOpen?: ((open: OpenReplica) => void) | undefined;
}

/**
 * Removes the file of one claimed replica, in every version that was ever made of it, and what was left of partial ones, and settles the claim. While a lease holds it, or a client has it open,
 * it is put off, with the reason; when it has drained for too long, the leases on it are not renewed any more, so that the wait ends: what is leased is never removed. It may end anywhere and be repeated: a file that is gone already is fine. A replica that is ordered again before the
 * file is touched is ready again, and loses nothing; after that its removal goes on to the end.
 *
 * No lease can come between the look at the leases and the removal: the replica left the answers a grace time ago, or everybody who answers is known to know.
 */
export async function removeReplica(ports: RemovalPorts, claimed: Claimed<Replica>, signal: AbortSignal): Promise<void> {
  const { store, holds, shares, clock } = ports;
  const { item: replica, claim } = claimed;
  const share = shareNamed(shares, replica.share);
  const heldUntil = await holds.heldUntil(replica.layer, replica.share, clock.now());
  if (heldUntil !== undefined && heldUntil > clock.now()) {
    const forced = await endRenewalsWhenLate(ports, replica, heldUntil);
    const now = clock.now();
    await store.removals.postpone(claim.id, { now, waitMs: Math.max(0, heldUntil.getTime() - now.getTime()), reason: `leased by a node until ${heldUntil.toISOString()}${forced ? ', and not renewed any more: it has drained for too long' : ''}` });
    return;
  }
  if (await isOpen(ports, { share, replica }, signal)) {
    await store.removals.postpone(claim.id, { now: clock.now(), waitMs: FILE_IN_USE_WAIT_MS, reason: `a client has its file open; it is looked again after ${FILE_IN_USE_WAIT_MS / 1000} s` });
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
    await store.removals.postpone(claim.id, { now: clock.now(), waitMs: FILE_IN_USE_WAIT_MS, reason: error.message });
    return;
  }
  await removePartialFiles(share, replica.layer, { signal });
  await store.gone(claim.id);
}

/** Whether a client has one of the files open that it is to be waited for. Where that cannot be asked, the share itself refuses to remove what is open. */
async function isOpen(ports: RemovalPorts, { share, replica }: { readonly share: Share; readonly replica: Replica }, signal: AbortSignal): Promise<boolean> {
  const { forceClose = false, onOpen } = ports;
  let handleCount = 0;
  for (const path of layerFilePaths(replica.layer)) handleCount += (await share.openHandles(path, signal)) ?? 0;
  if (handleCount === 0) return false;
  const closed = forceClose && isLate(ports, replica);
  onOpen?.({ layer: replica.layer, share: replica.share, handleCount, closed });
  if (closed) for (const path of layerFilePaths(replica.layer)) await share.closeHandles(path, signal);
  return !closed;
}

function isLate({ clock, drainMaxMs = DRAIN_MAX_MS }: RemovalPorts, { drainingSince }: Replica): boolean {
  return drainingSince !== undefined && clock.now().getTime() - drainingSince.getTime() >= drainMaxMs;
}

async function endRenewalsWhenLate(ports: RemovalPorts, replica: Replica, heldUntil: Date): Promise<boolean> {
  const { holds, clock, onForced } = ports;
  const { layer, share, drainingSince } = replica;
  if (drainingSince === undefined || !isLate(ports, replica)) return false;
  const leaseCount = await holds.endRenewals(layer, share, clock.now());
  onForced?.({ layer, share, drainingSince, leaseCount, heldUntil });
  return true;
}
