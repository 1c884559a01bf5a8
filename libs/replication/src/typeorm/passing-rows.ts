import type { EntityManager } from 'typeorm';

import type { ClaimRequest } from '#claims';
import { callersNow, type ClaimedRow, claimOf, type DecidingClock, decidingNow, millisecondsOf } from '#claims/typeorm';
import type { Digest } from '#oci';

import { admitPassing, GIVING_WAY_MAX, givingWay } from '../admit-passing.js';
import type { Replica } from '../replica.js';
import type { PassingLayer, PassingOutcome, ShareCapacity } from '../replica-store.js';
import { drainRow } from './drain-row.js';
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

/** Claims the replica of a layer that passed, within a transaction, if {@link admitPassing} lets it once others gave way. */
export async function takePassingRow(
  manager: EntityManager,
  share: ShareCapacity,
  passing: PassingLayer,
  { owner, now, leaseMs, clock }: Pick<ClaimRequest, 'owner' | 'now' | 'leaseMs'> & { readonly clock: DecidingClock },
): Promise<PassingOutcome> {
  const { layer, sizeBytes, reason, unordered } = passing;
  await lockCapacity(manager, share.name);
  const [standing] = await manager.query<StandingRow[]>(
    `SELECT state, claim_id IS NOT NULL AND claim_expires_at > ${NOW} AS claimed, kept_at IS NOT NULL AS kept FROM replicas WHERE layer = $1 AND share = $2 FOR UPDATE`,
    [layer, share.name, callersNow(clock, now)],
  );
  const known = {
    state: standing?.state ?? ('gone' as const),
    isClaimed: standing?.claimed ?? false,
    isReadyElsewhere: await isReadyElsewhere(manager, layer, share.name),
    isShareDraining: await isDraining(manager, share.name),
    sizeBytes,
    usedBytes: (await replicaBytes(manager, share.name)) + (await reservedBytes(manager, { share: share.name, decided: callersNow(clock, now) })),
    capacityBytes: share.capacityBytes,
    unorderedBytesMax: unordered.bytesMax,
  };
  // Nothing gives way to what would be refused whatever there is room for.
  const isBegun = standing === undefined && admitPassing({ ...known, usedBytes: 0, unorderedBytes: 0 }) === undefined;
  const gaveWay = isBegun ? await giveWay(manager, { share: share.name, passing, now, clock }) : [];
  const refused = admitPassing({ ...known, unorderedBytes: isBegun ? await unorderedBytes(manager, share.name) : 0 });
  if (refused !== undefined) return { refused, gaveWay };
  const terms = [layer, share.name, callersNow(clock, now), owner, leaseMs, ...(isBegun ? [sizeBytes, reason, now] : [])];
  const rows = await manager.query<Omit<ClaimedRow<ReplicaRow>, 'now'>[]>(isBegun ? BEGIN : TAKE, terms);
  const row = { ...rows[0]!, now };
  return { claimed: { item: copyOf(row), claim: claimOf(row) }, ordered: standing !== undefined && !(standing.state === 'copying' && standing.kept), gaveWay };
}

/** Drains what {@link givingWay} says, by layer, so that two that do this for different shares never wait for each other in a ring. @returns the layers that drain now. */
async function giveWay(manager: EntityManager, { share, passing: { layer, sizeBytes, unordered }, now, clock }: { readonly share: string; readonly passing: PassingLayer; readonly now: Date; readonly clock: DecidingClock }): Promise<Digest[]> {
  const rows = await manager.query<{ layer: Digest; bytes: number; age: number }[]>(
    `SELECT layer, size_bytes::float8 AS bytes, extract(epoch FROM ${decidingNow('$2')} - kept_at)::float8 * 1000 AS age FROM replicas
     WHERE share = $1 AND kept_at IS NOT NULL AND state = 'ready' ORDER BY kept_at, layer LIMIT $3`,
    [share, callersNow(clock, now), GIVING_WAY_MAX],
  );
  const oldest = rows.map((row) => ({ layer: row.layer, sizeBytes: row.bytes, passedAt: new Date(now.getTime() - row.age) }));
  const going = givingWay(sizeBytes, { oldest, unorderedBytes: await unorderedBytes(manager, share), now }, unordered);
  const gone: Digest[] = [];
  for (const replica of going.toSorted((a, b) => (a.layer < b.layer ? -1 : 1))) {
    const outcome = await drainRow(manager, { layer: replica.layer, share }, { reason: `gave way to ${layer}, which passed later`, now, graceMs: unordered.graceMs, clock });
    if (outcome === 'draining') gone.push(replica.layer);
  }
  return gone;
}

async function isReadyElsewhere(manager: EntityManager, layer: string, share: string): Promise<boolean> {
  const rows = await manager.query<unknown[]>(`SELECT true AS ready FROM replicas WHERE layer = $1 AND share <> $2 AND state = 'ready' LIMIT 1`, [layer, share]);
  return rows.length > 0;
}

/** Of what nobody ordered and does not drain. */
async function unorderedBytes(manager: EntityManager, share: string): Promise<number> {
  const rows = await manager.query<{ bytes: string }[]>(`SELECT coalesce(sum(size_bytes), 0) AS bytes FROM replicas WHERE share = $1 AND kept_at IS NOT NULL AND state <> 'draining'`, [share]);
  return Number(rows[0]?.bytes);
}
