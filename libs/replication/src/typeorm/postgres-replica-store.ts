import type { DataSource, EntityManager } from 'typeorm';

import type { ClaimRequest, ClaimSource, WorkList, WriteFence } from '#claims';
import { affected, callersNow, type ClaimTable, type DecidingClock, decidingNow } from '#claims/typeorm';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { admitOrders, type OrderOutcome, type ReplicaOrder } from '../admit-orders.js';
import type { CopyCheckpoint, Replica, ReplicaCopy, ReplicaKey } from '../replica.js';
import { type ReplicaEvent, statesThatTake } from '../replica-state.js';
import {
  type CancelOutcome, type DrainOrder, type DrainOutcome, type HeldLayer, type LayerReplicaStates, type LossOutcome, type PassingLayer, type PassingOutcome, type ReplicaFilter, ReplicaStore, type ReplicaUsage, type ShareCapacity,
} from '../replica-store.js';
import { DRAIN, drainRow, END_GRACES, lockLayer, UNCLAIM } from './drain-row.js';
import { takePassingRow } from './passing-rows.js';
import { copyWork, removalWork } from './listed-replicas.js';
import { copyOf, drainedOf, replicaOf, type ReplicaRow, ReplicaWork } from './replica-rows.js';
import { isDraining, lockCapacity, replicaBytes, reservedBytes } from './share-room.js';

/** The condition that a row's state takes `event`, from the table of transitions. */
function takes(event: ReplicaEvent): string {
  const states = statesThatTake(event).filter((state) => state !== 'gone');
  return `state IN (${states.map((state) => `'${state}'`).join(', ')})`;
}

const COPIES: ClaimTable = {
  table: 'replicas',
  key: ['layer', 'share'],
  open: `${takes('begin')} AND EXISTS (
    SELECT FROM replicas AS source WHERE source.layer = replicas.layer AND source.share <> replicas.share AND source.state = 'ready')`,
  claimable: (owner, now) => `NOT EXISTS (
    SELECT FROM replicas AS begun WHERE begun.layer = replicas.layer AND begun.state = 'copying' AND NOT begun.from_passing AND begun.claimed_by <> ${owner} AND begun.claim_expires_at > ${now})`,
  order: 'priority DESC, wanted_at, layer, share',
  set: `state = 'copying', from_passing = false`,
};
const REMOVALS: ClaimTable = { table: 'replicas', key: ['layer', 'share'], open: takes('removed'), order: 'draining_since, layer, share' };

const NO_CHECKPOINT = 'partial_path = NULL, verified_pieces = NULL';
const NOW = decidingNow('$3');
/** $2 reason, $3 now. A copier that does not know yet that it lost its claim may write until the claim's end. */
const ABANDON = `state = 'draining', reason = $2, draining_since = ${NOW}, not_before = greatest(${NOW}, claim_expires_at), ${UNCLAIM}`;
/** $2 reason, $3 now. By the copier itself. */
const GIVE_UP = `state = 'draining', reason = $2, draining_since = ${NOW}, not_before = ${NOW}, ${UNCLAIM}`;
/** Which draining rows have a whole file that nobody has begun to delete. */
const RECALLABLE = `${takes('recall')} AND ready_at IS NOT NULL AND NOT removal_begun`;
const RECALL = `state = 'ready', draining_since = NULL, not_before = '-infinity', ${UNCLAIM}`;
/** $2 reason, $3 now, $4 what may stand there: as with an unfinished copy, taking the order back removes it. */
const LOSE = `state = 'wanted', reason = $2, wanted_at = $3, ready_at = NULL, copied_bytes = 0, not_before = '-infinity', partial_path = $4, verified_pieces = '', ${UNCLAIM}`;
const NOTHING_WRITTEN = `${takes('cancel')} AND partial_path IS NULL`;

/** Replicas in the table `replicas`. Grace and claims go by the clock that decides; what only tells when something was, by the callers'. Rows are locked in the order of their keys, and a share's capacity by a lock of its own. */
export class PostgresReplicaStore extends ReplicaStore {
  readonly copies: ClaimSource<ReplicaCopy>;
  readonly removals: ClaimSource<Replica>;
  readonly copyWork: WorkList;
  readonly removalWork: WorkList;
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
    this.copies = new ReplicaWork(dataSource, { table: COPIES, clock, inTurn: true, giveBack: `state = 'wanted'`, itemOf: copyOf });
    this.copyWork = copyWork(dataSource, clock);
    this.removalWork = removalWork(dataSource, clock);
    this.removals = new ReplicaWork(dataSource, { table: REMOVALS, clock, giveBack: `state = 'draining'`, itemOf: drainedOf });
  }

  want(share: ShareCapacity, orders: readonly ReplicaOrder[], now: Date, fence?: WriteFence): Promise<OrderOutcome[]> {
    return this.#dataSource.transaction(async (manager) => {
      await lockCapacity(manager, share.name);
      const existing = await manager.query<{ layer: Digest; state: Replica['state']; recallable: boolean }[]>(
        `SELECT layer, state, ${RECALLABLE} AS recallable FROM replicas WHERE share = $1 AND layer = ANY($2) ORDER BY layer FOR UPDATE`,
        [share.name, orders.map((order) => order.layer)],
      );
      const usedBytes = (await replicaBytes(manager, share.name)) + (await reservedBytes(manager, { share: share.name, decided: callersNow(this.#clock, now) }));
      const room = { usedBytes, capacityBytes: share.capacityBytes, isDraining: await isDraining(manager, share.name) };
      const present = new Map(existing.map(({ layer, state, recallable }) => [layer, { state, isRecallable: recallable }]));
      const outcomes = admitOrders(orders, present, room);
      await insertOrders(manager, share.name, orders.filter((_, n) => outcomes[n] === 'taken'), now);
      await recallOrders(manager, share.name, orders.filter((_, n) => outcomes[n] === 'recalled'));
      await raiseOrders(manager, share.name, orders.filter((_, n) => outcomes[n] === 'kept'));
      await fence?.hold(manager);
      return outcomes;
    });
  }

  takePassing(share: ShareCapacity, passing: PassingLayer, request: Pick<ClaimRequest, 'owner' | 'now' | 'leaseMs'>): Promise<PassingOutcome> {
    return this.#dataSource.transaction((manager) => takePassingRow(manager, share, passing, { ...request, clock: this.#clock }));
  }

  recallPassed({ layer, share }: ReplicaKey, now: Date): Promise<boolean> {
    return this.#dataSource.transaction(async (manager) => {
      await lockCapacity(manager, share);
      if (await isDraining(manager, share)) return false;
      const sql = `UPDATE replicas SET ${RECALL}, kept_at = ${NOW}, reason = 'it passed again' WHERE layer = $1 AND share = $2 AND kept_at IS NOT NULL AND ${RECALLABLE}`;
      return affected(await manager.query(sql, [layer, share, callersNow(this.#clock, now)]));
    });
  }

  async abandon(claimId: string, reason: string, now: Date): Promise<boolean> {
    const sql = `UPDATE replicas SET ${GIVE_UP} WHERE claim_id = $1 AND ${takes('complete')}`;
    return affected(await this.#dataSource.query(sql, [claimId, reason, callersNow(this.#clock, now)]));
  }

  recordReady(replica: ReplicaKey & { readonly sizeBytes: number; readonly reason: string }, now: Date): Promise<boolean> {
    return this.#dataSource.transaction(async (manager) => {
      await lockCapacity(manager, replica.share);
      const rows = await manager.query<unknown[]>(
        `INSERT INTO replicas (layer, share, state, size_bytes, reason, wanted_at, ready_at) VALUES ($1, $2, 'ready', $3, $4, $5, $5)
         ON CONFLICT (layer, share) DO UPDATE
         SET state = 'ready', size_bytes = excluded.size_bytes, ready_at = coalesce(replicas.ready_at, excluded.ready_at),
             reason = CASE replicas.state WHEN 'ready' THEN replicas.reason ELSE excluded.reason END,
             draining_since = NULL, not_before = '-infinity', ${UNCLAIM}, ${NO_CHECKPOINT}
         WHERE replicas.${takes('record')} AND NOT replicas.removal_begun
         RETURNING true AS recorded`,
        [replica.layer, replica.share, replica.sizeBytes, replica.reason, now],
      );
      return rows.length > 0;
    });
  }

  async progress(claimId: string, copiedBytes: number, checkpoint: CopyCheckpoint): Promise<boolean> {
    const sql = `UPDATE replicas SET copied_bytes = $2, partial_path = $3, verified_pieces = $4 WHERE claim_id = $1 AND ${takes('complete')}`;
    return affected(await this.#dataSource.query(sql, [claimId, copiedBytes, checkpoint.path, Buffer.from(checkpoint.pieces)]));
  }

  async complete(claimId: string, sizeBytes: number, now: Date): Promise<boolean> {
    const sql = `
      UPDATE replicas SET state = 'ready', ready_at = $2, size_bytes = $3, not_before = '-infinity', kept_at = CASE WHEN kept_at IS NULL THEN NULL ELSE ${decidingNow('$4')} END, ${UNCLAIM}, ${NO_CHECKPOINT}
      WHERE claim_id = $1 AND ${takes('complete')}`;
    return affected(await this.#dataSource.query(sql, [claimId, now, sizeBytes, callersNow(this.#clock, now)]));
  }

  async gone(claimId: string): Promise<boolean> {
    return affected(await this.#dataSource.query(`DELETE FROM replicas WHERE claim_id = $1 AND ${takes('removed')}`, [claimId]));
  }

  async beginRemoval(claimId: string): Promise<boolean> {
    return affected(await this.#dataSource.query(`UPDATE replicas SET removal_begun = true WHERE claim_id = $1 AND ${takes('removed')}`, [claimId]));
  }

  recall(layer: Digest, reason: string): Promise<number> {
    return this.#dataSource.transaction(async (manager) => {
      const rows = await lockLayer(manager, layer);
      if (rows.some((row) => row.state === 'ready')) return 0;
      const sql = `UPDATE replicas SET ${RECALL}, reason = $2 WHERE layer = $1 AND ${RECALLABLE}`;
      const [, count] = await manager.query<[unknown[], number]>(sql, [layer, reason]);
      return count;
    });
  }

  drain({ layer, share }: ReplicaKey, order: DrainOrder): Promise<DrainOutcome> {
    return this.#dataSource.transaction(async (manager) => {
      const outcome = await drainRow(manager, { layer, share }, { ...order, clock: this.#clock });
      await order.fence?.hold(manager);
      return outcome;
    });
  }

  async endGraces({ knownTo, limit, now }: { readonly knownTo: bigint; readonly limit: number; readonly now: Date }): Promise<number> {
    return (await this.#dataSource.query<[unknown[], number]>(END_GRACES, [knownTo.toString(), limit, callersNow(this.#clock, now)]))[1];
  }

  lose({ layer, share }: ReplicaKey, reason: string, now: Date): Promise<LossOutcome> {
    return this.#dataSource.transaction(async (manager) => {
      const rows = await lockLayer(manager, layer);
      if (rows.find((row) => row.share === share)?.state !== 'ready') return 'NOT_READY';
      if (!rows.some((row) => row.share !== share && row.state === 'ready')) return 'LAST_REPLICA';
      const sql = `UPDATE replicas SET ${LOSE} WHERE layer = $1 AND share = $5 AND ${takes('lose')}`;
      await manager.query(sql, [layer, reason, now, layerFilePath(layer, LAYER_FILE_VERSION), share]);
      return 'wanted';
    });
  }

  drainUnreferenced(layer: Digest, order: DrainOrder): Promise<number> {
    return this.#dataSource.transaction(async (manager) => {
      await lockLayer(manager, layer);
      await manager.query(`DELETE FROM replicas WHERE layer = $1 AND ${NOTHING_WRITTEN}`, [layer]);
      await manager.query(`UPDATE replicas SET ${ABANDON} WHERE layer = $1 AND ${takes('abandon')}`, [layer, order.reason, callersNow(this.#clock, order.now)]);
      await manager.query(`UPDATE replicas SET ${DRAIN} WHERE layer = $1 AND state = 'ready'`, [layer, order.reason, callersNow(this.#clock, order.now), order.graceMs]);
      const left = await manager.query<{ count: number }[]>('SELECT count(*)::int AS count FROM replicas WHERE layer = $1', [layer]);
      return left[0]?.count ?? 0;
    });
  }

  cancel({ layer, share }: ReplicaKey, order: DrainOrder): Promise<CancelOutcome> {
    return this.#dataSource.transaction(async (manager) => {
      const deleted = await manager.query(`DELETE FROM replicas WHERE layer = $1 AND share = $2 AND ${NOTHING_WRITTEN}`, [layer, share]);
      const abandon = `UPDATE replicas SET ${ABANDON} WHERE layer = $1 AND share = $4 AND ${takes('abandon')}`;
      const isAbandoned = !affected(deleted) && affected(await manager.query(abandon, [layer, order.reason, callersNow(this.#clock, order.now), share]));
      await order.fence?.hold(manager);
      return affected(deleted) ? 'gone' : isAbandoned ? 'draining' : 'NOT_OPEN';
    });
  }

  async find(layers: readonly Digest[]): Promise<Replica[]> {
    const rows = await this.#dataSource.query<ReplicaRow[]>('SELECT * FROM replicas WHERE layer = ANY($1) ORDER BY layer, share', [layers]);
    return rows.map(replicaOf);
  }

  async checkpointPaths(share: string, layers: readonly Digest[]): Promise<Set<string>> {
    const sql = `SELECT partial_path AS path FROM replicas WHERE share = $1 AND layer = ANY($2) AND partial_path IS NOT NULL AND ${takes('begin')}`;
    const rows = await this.#dataSource.query<{ path: string }[]>(sql, [share, layers]);
    return new Set(rows.map(({ path }) => path));
  }

  async page(after: ReplicaKey | undefined, limit: number, filter: ReplicaFilter = {}): Promise<Replica[]> {
    const rows = await this.#dataSource.query<ReplicaRow[]>(
      `SELECT * FROM replicas
       WHERE (layer, share) > ($1, $2) AND ($3::text IS NULL OR layer = $3) AND ($4::text IS NULL OR share = $4) AND ($5::text IS NULL OR state = $5)
       ORDER BY layer, share LIMIT $6`,
      [after?.layer ?? '', after?.share ?? '', filter.layer ?? null, filter.share ?? null, filter.state ?? null, limit],
    );
    return rows.map(replicaOf);
  }

  async statesAfter(after: Digest | undefined, limit: number): Promise<LayerReplicaStates[]> {
    // One row for each layer: ten times fewer rows, and each layer's digest once. Neither shares nor states have spaces.
    const sql = `SELECT layer, string_agg(share || ' ' || state, ' ') AS states FROM replicas WHERE layer > $1 GROUP BY layer ORDER BY layer LIMIT $2`;
    const rows = await this.#dataSource.query<{ layer: Digest; states: string }[]>(sql, [after ?? '', limit]);
    return rows.map(({ layer, states }) => ({ layer, replicas: pairsOf(states.split(' ')) }));
  }

  heldAfter(share: string, after: Digest | undefined, limit: number): Promise<HeldLayer[]> {
    return this.#dataSource.query(
      'SELECT layer, size_bytes::float8 AS "sizeBytes", state, priority, kept_at AS "passedAt" FROM replicas WHERE share = $1 AND layer > $2 ORDER BY layer LIMIT $3',
      [share, after ?? '', limit],
    );
  }

  async usage(): Promise<ReplicaUsage[]> {
    const rows = await this.#dataSource.query<{ share: string; state: Replica['state']; count: number; bytes: string }[]>(
      'SELECT share, state, count(*)::int AS count, sum(size_bytes) AS bytes FROM replicas GROUP BY share, state ORDER BY share, state',
    );
    return rows.map((row) => ({ share: row.share, state: row.state, count: row.count, sizeBytes: Number(row.bytes) }));
  }
}

function pairsOf(words: readonly string[]): LayerReplicaStates['replicas'] {
  const pairs: { share: string; state: Replica['state'] }[] = [];
  for (let index = 1; index < words.length; index += 2) pairs.push({ share: words[index - 1]!, state: words[index] as Replica['state'] });
  return pairs;
}

async function insertOrders(manager: EntityManager, share: string, orders: readonly ReplicaOrder[], now: Date): Promise<void> {
  if (orders.length === 0) return;
  await manager.query(
    `INSERT INTO replicas (layer, share, state, size_bytes, priority, reason, wanted_at)
     SELECT layer, $1, 'wanted', size_bytes, priority, reason, $6
     FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::text[]) AS ordered (layer, size_bytes, priority, reason)`,
    [
      share,
      orders.map((order) => order.layer),
      orders.map((order) => order.sizeBytes),
      orders.map((order) => order.priority),
      orders.map((order) => order.reason),
      now,
    ],
  );
}

async function recallOrders(manager: EntityManager, share: string, orders: readonly ReplicaOrder[]): Promise<void> {
  if (orders.length === 0) return;
  await manager.query(
    `UPDATE replicas SET ${RECALL}, reason = ordered.reason, priority = greatest(replicas.priority, ordered.priority), kept_at = NULL
     FROM unnest($2::text[], $3::float8[], $4::text[]) AS ordered (layer, priority, reason)
     WHERE replicas.share = $1 AND replicas.layer = ordered.layer AND ${RECALLABLE}`,
    [share, orders.map((order) => order.layer), orders.map((order) => order.priority), orders.map((order) => order.reason)],
  );
}

async function raiseOrders(manager: EntityManager, share: string, orders: readonly ReplicaOrder[]): Promise<void> {
  if (orders.length === 0) return;
  await manager.query(
    `UPDATE replicas
     SET priority = greatest(replicas.priority, ordered.priority), reason = CASE WHEN replicas.state = 'ready' AND replicas.kept_at IS NULL THEN replicas.reason ELSE ordered.reason END,
         kept_at = NULL
     FROM (SELECT layer, max(priority) AS priority, (array_agg(reason ORDER BY place DESC))[1] AS reason
           FROM unnest($2::text[], $3::float8[], $4::text[]) WITH ORDINALITY AS each_one (layer, priority, reason, place) GROUP BY layer) AS ordered
     WHERE replicas.share = $1 AND replicas.layer = ordered.layer AND replicas.${takes('want')}
       AND (replicas.priority < ordered.priority OR (replicas.reason <> ordered.reason AND replicas.state <> 'ready') OR replicas.kept_at IS NOT NULL)`,
    [share, orders.map((order) => order.layer), orders.map((order) => order.priority), orders.map((order) => order.reason)],
  );
}
