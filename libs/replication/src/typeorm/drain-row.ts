import type { EntityManager } from 'typeorm';

import { callersNow, type DecidingClock, decidingNow, millisecondsOf } from '#claims/typeorm';
import type { Digest } from '#oci';

import type { ReplicaKey } from '../replica.js';
import type { DrainOrder, DrainOutcome } from '../replica-store.js';
import type { ReplicaRow } from './replica-rows.js';

/** What ends a row's claim, and whatever work it had before. */
export const UNCLAIM = `claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL, attempts = 0, last_error = NULL`;

const NOW = decidingNow('$3');
/** Takes a row out of the answers. $2 reason, $3 now, $4 grace. */
export const DRAIN = `state = 'draining', reason = $2, draining_since = ${NOW}, not_before = ${NOW} + ${millisecondsOf('$4')}, ${UNCLAIM}`;

/** Has those be due that left the answers up to a place in the feed. $1 the place, $2 how many, $3 now. Whoever holds one of them changes it: it is left for the next time. */
export const END_GRACES = `
  WITH resting AS MATERIALIZED (
    SELECT layer, share FROM replicas WHERE drained_in <= $1::xid8 AND state = 'draining' AND last_error IS NULL AND claim_id IS NULL AND not_before > ${NOW}
    ORDER BY drained_in LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE replicas SET not_before = ${NOW}, drained_in = NULL FROM resting WHERE replicas.layer = resting.layer AND replicas.share = resting.share`;

/** Locks all replicas of a layer, so that two callers never see the same one as the last but one. */
export function lockLayer(manager: EntityManager, layer: Digest): Promise<Pick<ReplicaRow, 'share' | 'state'>[]> {
  return manager.query('SELECT share, state FROM replicas WHERE layer = $1 ORDER BY share FOR UPDATE', [layer]);
}

/** `ReplicaStore.drain`, within a transaction. */
export async function drainRow(manager: EntityManager, { layer, share }: ReplicaKey, { reason, now, graceMs, clock }: Omit<DrainOrder, 'fence'> & { readonly clock: DecidingClock }): Promise<DrainOutcome> {
  const rows = await lockLayer(manager, layer);
  const state = rows.find((row) => row.share === share)?.state;
  if (state === 'draining') return 'draining';
  if (state !== 'ready') return 'NOT_READY';
  if (!rows.some((row) => row.share !== share && row.state === 'ready')) return 'LAST_REPLICA';
  await manager.query(`UPDATE replicas SET ${DRAIN} WHERE layer = $1 AND share = $5 AND state = 'ready'`, [layer, reason, callersNow(clock, now), graceMs, share]);
  return 'draining';
}
