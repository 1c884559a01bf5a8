import type { EntityManager } from 'typeorm';

import type { ClaimRequest } from '#claims';
import { callersNow, type ClaimedRow, claimOf, type DecidingClock, decidingNow, millisecondsOf } from '#claims/typeorm';

import { admitPassing } from '../admit-passing.js';
import type { Replica } from '../replica.js';
import type { PassingLayer, PassingOutcome, ShareCapacity } from '../replica-store.js';
import { copyOf, type ReplicaRow } from './replica-rows.js';
import { isDraining, lockCapacity, replicaBytes, reservedBytes } from './share-room.js';

interface StandingRow {
  readonly state: Replica['state'];
  readonly claimed: boolean;
  readonly kept: boolean;
}

const NOW = decidingNow('$3');
/** $3 now, $4 owner, $5 lease. */
const CLAIM = { claim_id: 'gen_random_uuid()', claimed_by: '$4', claim_expires_at: `${NOW} + ${millisecondsOf('$5')}`, from_passing: 'true' };
/** $1 layer, $2 share. */
const TAKE = `
  WITH taken AS (
    UPDATE replicas SET state = 'copying', attempts = attempts + 1, ${Object.entries(CLAIM).map(([column, value]) => `${column} = ${value}`).join(', ')}
    WHERE layer = $1 AND share = $2 RETURNING *)
  SELECT *, ${NOW} AS decided FROM taken`;
/** And $6 size, $7 reason, $8 when it is wanted. */
const BEGIN = `
  INSERT INTO replicas (layer, share, state, attempts, kept_at, size_bytes, reason, wanted_at, ${Object.keys(CLAIM).join(', ')})
  VALUES ($1, $2, 'copying', 1, ${NOW}, $6, $7, $8, ${Object.values(CLAIM).join(', ')}) RETURNING *, ${NOW} AS decided`;

/** Claims the replica of a layer that passed, within a transaction, if {@link admitPassing} lets it. */
export async function takePassingRow(
  manager: EntityManager,
  share: ShareCapacity,
  { layer, sizeBytes, reason, unordered }: PassingLayer,
  { owner, now, leaseMs, clock }: Pick<ClaimRequest, 'owner' | 'now' | 'leaseMs'> & { readonly clock: DecidingClock },
): Promise<PassingOutcome> {
  await lockCapacity(manager, share.name);
  const [standing] = await manager.query<StandingRow[]>(
    `SELECT state, claim_id IS NOT NULL AND claim_expires_at > ${NOW} AS claimed, kept_at IS NOT NULL AS kept FROM replicas WHERE layer = $1 AND share = $2 FOR UPDATE`,
    [layer, share.name, callersNow(clock, now)],
  );
  const refused = admitPassing({
    state: standing?.state ?? 'gone',
    isClaimed: standing?.claimed ?? false,
    isReadyElsewhere: await isReadyElsewhere(manager, layer, share.name),
    isShareDraining: await isDraining(manager, share.name),
    sizeBytes,
    usedBytes: (await replicaBytes(manager, share.name)) + (await reservedBytes(manager, { share: share.name, decided: callersNow(clock, now) })),
    capacityBytes: share.capacityBytes,
    unorderedBytes: await unorderedBytes(manager, share.name, unordered.since),
    unorderedBytesMax: unordered.bytesMax,
  });
  if (refused !== undefined) return { refused };
  const isNew = standing === undefined;
  const terms = [layer, share.name, callersNow(clock, now), owner, leaseMs, ...(isNew ? [sizeBytes, reason, now] : [])];
  const rows = await manager.query<Omit<ClaimedRow<ReplicaRow>, 'now'>[]>(isNew ? BEGIN : TAKE, terms);
  const row = { ...rows[0]!, now };
  return { claimed: { item: copyOf(row), claim: claimOf(row) }, ordered: !isNew && !(standing.state === 'copying' && standing.kept) };
}

async function isReadyElsewhere(manager: EntityManager, layer: string, share: string): Promise<boolean> {
  const rows = await manager.query<unknown[]>(`SELECT true AS ready FROM replicas WHERE layer = $1 AND share <> $2 AND state = 'ready' LIMIT 1`, [layer, share]);
  return rows.length > 0;
}

async function unorderedBytes(manager: EntityManager, share: string, since: Date): Promise<number> {
  const rows = await manager.query<{ bytes: string }[]>('SELECT coalesce(sum(size_bytes), 0) AS bytes FROM replicas WHERE share = $1 AND kept_at > $2', [share, since]);
  return Number(rows[0]?.bytes);
}
