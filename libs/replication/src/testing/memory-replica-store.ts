import { randomUUID } from 'node:crypto';

import type { ClaimRequest, WriteFence } from '#claims';
import { MemoryClaims, MemoryWorkList } from '#claims/testing';
import type { Digest } from '#oci';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { admitOrders, type OrderOutcome, type ReplicaOrder } from '../admit-orders.js';
import { admitPassing, GIVING_WAY_MAX, givingWay } from '../admit-passing.js';
import type { CopyCheckpoint, Replica, ReplicaCopy, ReplicaKey } from '../replica.js';
import { nextReplicaState } from '../replica-state.js';
import {
  type CancelOutcome, type DrainOrder, type DrainOutcome, type HeldLayer, type LayerReplicaStates, type LossOutcome, type PassingLayer, type PassingOutcome, type ReplicaFilter, ReplicaStore, type ReplicaUsage, type ShareCapacity,
} from '../replica-store.js';
import { ALWAYS, byKey, copyOf, isRecallable, keyOf, MemoryReplicaRows, type ReplicaRow, replicaOf } from './memory-replica-rows.js';
import { MemoryRoomLedger } from './memory-room-ledger.js';
import { MemoryShareDrains } from './memory-share-drains.js';

/** Replicas in memory. */
export class MemoryReplicaStore extends ReplicaStore {
  readonly #rows = new MemoryReplicaRows();

  /** The place in the feed where the last replica left the answers. */
  async place(): Promise<bigint> {
    return this.#rows.place;
  }

  /** The account of room that counts these replicas. */
  readonly room = new MemoryRoomLedger((share) => {
    const here = this.#rows.on(share);
    return { bytes: this.#rows.usedBytes(share), layers: new Set(here.map((row) => row.layer)) };
  });

  /** Which shares are being drained of these replicas. */
  readonly drains = new MemoryShareDrains((share) => {
    const here = this.#rows.on(share);
    return here.map((row) => ({ state: row.state, sizeBytes: row.sizeBytes, isLast: row.state === 'ready' && !this.#rows.readyElsewhere(row), isPostponed: row.lastError !== undefined, notBefore: row.notBefore }));
  });

  readonly copies = new MemoryClaims<ReplicaRow, ReplicaCopy>({
    rows: () => this.#rows.all(),
    isOpen: (row) => nextReplicaState(row.state, 'begin') !== null && this.#rows.readyElsewhere(row),
    isClaimable: (row, { owner, now }) => !this.#isCopiedByAnother(row.layer, owner, now),
    order: (a, b) => b.priority - a.priority || a.wantedAt.getTime() - b.wantedAt.getTime() || byKey(a, b),
    item: copyOf,
    begin: (row) => {
      this.#rows.step(row, 'begin');
      row.fromPassing = false;
    },
    giveBack: (row) => this.#rows.step(row, 'giveBack'),
  });

  readonly removals = new MemoryClaims<ReplicaRow, Replica>({
    rows: () => this.#rows.all(),
    isOpen: (row) => row.state === 'draining',
    order: (a, b) => (a.drainingSince?.getTime() ?? 0) - (b.drainingSince?.getTime() ?? 0) || byKey(a, b),
    item: replicaOf,
  });

  readonly copyWork = new MemoryWorkList<ReplicaRow>({
    rows: () => this.#rows.all(), isOpen: ({ state }) => state === 'wanted' || state === 'copying', keyOf: ({ layer, share }) => [layer, share],
    orderOf: ({ priority, wantedAt, layer, share }) => [-priority, wantedAt.getTime(), layer, share], subjectOf: ({ layer, share }) => ({ layer, share }), wantedAt: (row) => row.wantedAt,
    blockedBy: (row, now) => (this.#rows.readyElsewhere(row) ? (this.#isCopiedByAnother(row.layer, undefined, now) ? 'COPIED_ELSEWHERE' : undefined) : 'SOURCE_MISSING'),
  });

  readonly removalWork = new MemoryWorkList<ReplicaRow>({
    rows: () => this.#rows.all(), isOpen: ({ state }) => state === 'draining', keyOf: ({ layer, share }) => [layer, share],
    orderOf: ({ drainingSince, layer, share }) => [drainingSince?.getTime() ?? 0, layer, share], subjectOf: ({ layer, share }) => ({ layer, share }), wantedAt: (row) => row.drainingSince ?? row.wantedAt,
  });

  /** Copies of a layer are left to the worker that has begun one of them. */
  #isCopiedByAnother(layer: Digest, owner: string | undefined, now: Date): boolean {
    return this.#rows.all().some((row) => row.layer === layer && row.state === 'copying' && row.fromPassing !== true && row.claim !== undefined && row.claim.owner !== owner && row.claim.expiresAt > now);
  }

  async want(share: ShareCapacity, orders: readonly ReplicaOrder[], now: Date, fence?: WriteFence): Promise<OrderOutcome[]> {
    await fence?.hold();
    const here = this.#rows.on(share.name);
    const usedBytes = this.#rows.usedBytes(share.name) + this.room.reservedNow(share.name, now);
    const present = new Map(here.map((row) => [row.layer, { state: row.state, isRecallable: isRecallable(row) }]));
    const outcomes = admitOrders(orders, present, { usedBytes, capacityBytes: share.capacityBytes, isDraining: this.drains.isDraining(share.name) });
    orders.forEach((order, n) => {
      const row = this.#rows.get({ layer: order.layer, share: share.name });
      if (outcomes[n] === 'taken') this.#rows.put({ ...order, share: share.name, state: 'wanted', wantedAt: now, copiedBytes: 0, attempts: 0, notBefore: ALWAYS });
      if (outcomes[n] === 'recalled' && row !== undefined) this.#rows.recall(row, order.reason);
      if ((outcomes[n] !== 'kept' && outcomes[n] !== 'recalled') || row === undefined) return;
      row.priority = Math.max(row.priority, order.priority);
      const isAdopted = row.keptAt !== undefined;
      if (row.state !== 'ready' || isAdopted) row.reason = order.reason;
      if (isAdopted) row.keptAt = undefined;
    });
    return outcomes;
  }

  async takePassing(share: ShareCapacity, passing: PassingLayer, { owner, now, leaseMs }: Pick<ClaimRequest, 'owner' | 'now' | 'leaseMs'>): Promise<PassingOutcome> {
    const { layer, sizeBytes, reason, unordered } = passing;
    const key = { layer, share: share.name };
    const known = this.#rows.get(key);
    const facts = {
      state: known?.state ?? ('gone' as const),
      isClaimed: known?.claim !== undefined && known.claim.expiresAt > now,
      isReadyElsewhere: this.#rows.of([layer]).some((row) => row.share !== share.name && row.state === 'ready'),
      isShareDraining: this.drains.isDraining(share.name),
      sizeBytes,
      usedBytes: this.#rows.usedBytes(share.name) + this.room.reservedNow(share.name, now),
      capacityBytes: share.capacityBytes,
      unorderedBytesMax: unordered.bytesMax,
    };
    const isBegun = known === undefined && admitPassing({ ...facts, usedBytes: 0, unorderedBytes: 0 }) === undefined;
    const gaveWay = isBegun ? this.#giveWay(share.name, passing, now) : [];
    const refused = admitPassing({ ...facts, unorderedBytes: isBegun ? this.#rows.unorderedBytes(share.name) : 0 });
    if (refused !== undefined) return { refused, gaveWay };
    const ordered = known !== undefined && !(known.state === 'copying' && known.keptAt !== undefined);
    const row: ReplicaRow = known ?? { ...key, sizeBytes, priority: 0, reason, state: 'wanted', wantedAt: now, keptAt: now, copiedBytes: 0, attempts: 0, notBefore: ALWAYS };
    this.#rows.put(row);
    this.#rows.step(row, 'begin');
    row.attempts += 1;
    const claim = { id: randomUUID(), owner, expiresAt: new Date(now.getTime() + leaseMs), attempt: row.attempts };
    Object.assign(row, { claim, fromPassing: true });
    return { claimed: { item: copyOf(row), claim }, ordered, gaveWay };
  }

  #giveWay(share: string, { layer, sizeBytes, unordered }: PassingLayer, now: Date): Digest[] {
    const ready = this.#rows.on(share).flatMap((row) => (row.state === 'ready' && row.keptAt !== undefined ? [{ layer: row.layer, sizeBytes: row.sizeBytes, passedAt: row.keptAt }] : []));
    const oldest = ready.toSorted((a, b) => a.passedAt.getTime() - b.passedAt.getTime() || (a.layer < b.layer ? -1 : 1)).slice(0, GIVING_WAY_MAX);
    const going = givingWay(sizeBytes, { oldest, unorderedBytes: this.#rows.unorderedBytes(share), now }, unordered).map((replica) => this.#rows.get({ layer: replica.layer, share })!);
    const gone = going.filter((row) => this.#rows.readyElsewhere(row));
    for (const row of gone) this.#rows.drain(row, { reason: `gave way to ${layer}, which passed later`, now, graceMs: unordered.graceMs });
    return gone.map((row) => row.layer).toSorted();
  }

  async recallPassed(replica: ReplicaKey, now: Date): Promise<boolean> {
    const row = this.#rows.get(replica);
    if (row?.keptAt === undefined || !isRecallable(row) || this.drains.isDraining(replica.share)) return false;
    this.#rows.recall(row, 'it passed again');
    row.keptAt = now;
    return true;
  }

  async abandon(claimId: string, reason: string, now: Date): Promise<boolean> {
    const row = this.#rows.claimed(claimId);
    if (row?.state !== 'copying') return false;
    this.#rows.leave(row, 'abandon', { reason, now, graceMs: 0 }, now);
    return true;
  }

  async recordReady(replica: ReplicaKey & { readonly sizeBytes: number; readonly reason: string }, now: Date): Promise<boolean> {
    const row = this.#rows.get(replica);
    if (nextReplicaState(row?.state ?? 'gone', 'record') === null || row?.removalBegun === true) return false;
    if (row === undefined) {
      this.#rows.put({ ...replica, state: 'ready', priority: 0, wantedAt: now, readyAt: now, copiedBytes: 0, attempts: 0, notBefore: ALWAYS });
    } else {
      if (row.state !== 'ready') row.reason = replica.reason;
      row.sizeBytes = replica.sizeBytes;
      row.readyAt ??= now;
      row.drainingSince = undefined;
      this.#rows.settle(row, 'record', ALWAYS);
    }
    return true;
  }

  async progress(claimId: string, copiedBytes: number, checkpoint: CopyCheckpoint): Promise<boolean> {
    const row = this.#rows.claimed(claimId);
    if (row?.state !== 'copying') return false;
    row.copiedBytes = copiedBytes;
    row.checkpoint = { path: checkpoint.path, pieces: Buffer.from(checkpoint.pieces) };
    return true;
  }

  async complete(claimId: string, sizeBytes: number, now: Date): Promise<boolean> {
    const row = this.#rows.claimed(claimId);
    if (row === undefined || nextReplicaState(row.state, 'complete') === null) return false;
    row.readyAt = now;
    row.sizeBytes = sizeBytes;
    if (row.keptAt !== undefined) row.keptAt = now;
    this.#rows.settle(row, 'complete', ALWAYS);
    return true;
  }

  async gone(claimId: string): Promise<boolean> {
    const row = this.#rows.claimed(claimId);
    return row !== undefined && nextReplicaState(row.state, 'removed') === 'gone' && this.#rows.delete(row);
  }

  async beginRemoval(claimId: string): Promise<boolean> {
    const row = this.#rows.claimed(claimId);
    if (row === undefined || nextReplicaState(row.state, 'removed') === null) return false;
    row.removalBegun = true;
    return true;
  }

  async recall(layer: Digest, reason: string): Promise<number> {
    const rows = this.#rows.of([layer]);
    const recallable = rows.some((row) => row.state === 'ready') ? [] : rows.filter(isRecallable);
    for (const row of recallable) this.#rows.recall(row, reason);
    return recallable.length;
  }

  async drain(replica: ReplicaKey, order: DrainOrder): Promise<DrainOutcome> {
    await order.fence?.hold();
    const row = this.#rows.get(replica);
    if (row?.state === 'draining') return 'draining';
    if (row?.state !== 'ready') return 'NOT_READY';
    if (!this.#rows.readyElsewhere(row)) return 'LAST_REPLICA';
    this.#rows.drain(row, order);
    return 'draining';
  }

  async endGraces({ knownTo, limit, now }: { readonly knownTo: bigint; readonly limit: number; readonly now: Date }): Promise<number> {
    const resting = this.#rows.all().filter((row) => row.drainedIn !== undefined && row.drainedIn <= knownTo && row.lastError === undefined && row.claim === undefined && row.notBefore > now);
    const due = resting.toSorted((a, b) => Number(a.drainedIn! - b.drainedIn!)).slice(0, limit);
    for (const row of due) Object.assign(row, { notBefore: now, drainedIn: undefined });
    return due.length;
  }

  async lose(replica: ReplicaKey, reason: string, now: Date): Promise<LossOutcome> {
    const row = this.#rows.get(replica);
    if (row?.state !== 'ready') return 'NOT_READY';
    if (!this.#rows.readyElsewhere(row)) return 'LAST_REPLICA';
    this.#rows.settle(row, 'lose', ALWAYS);
    Object.assign(row, { reason, wantedAt: now, readyAt: undefined, copiedBytes: 0, checkpoint: { path: layerFilePath(row.layer, LAYER_FILE_VERSION), pieces: Buffer.alloc(0) } });
    return 'wanted';
  }

  async drainUnreferenced(layer: Digest, order: DrainOrder): Promise<number> {
    for (const row of this.#rows.of([layer])) {
      if (row.state === 'ready') this.#rows.drain(row, order);
      else await this.cancel(row, order);
    }
    return this.#rows.of([layer]).length;
  }

  async cancel(replica: ReplicaKey, order: DrainOrder): Promise<CancelOutcome> {
    await order.fence?.hold();
    const row = this.#rows.get(replica);
    if (row === undefined) return 'NOT_OPEN';
    if (row.checkpoint === undefined && nextReplicaState(row.state, 'cancel') === 'gone') {
      this.#rows.delete(row);
      return 'gone';
    }
    if (nextReplicaState(row.state, 'abandon') === null) return 'NOT_OPEN';
    const claimEnds = row.claim?.expiresAt ?? order.now;
    this.#rows.leave(row, 'abandon', order, claimEnds > order.now ? claimEnds : order.now);
    return 'draining';
  }

  async find(layers: readonly Digest[]): Promise<Replica[]> {
    return this.#rows.of(layers).map(replicaOf);
  }

  async checkpointPaths(share: string, layers: readonly Digest[]): Promise<Set<string>> {
    const open = this.#rows.of(layers).filter((row) => row.share === share && nextReplicaState(row.state, 'begin') !== null);
    return new Set(open.flatMap(({ checkpoint }) => checkpoint?.path ?? []));
  }

  async page(after: ReplicaKey | undefined, limit: number, filter: ReplicaFilter = {}): Promise<Replica[]> {
    const matches = (row: ReplicaRow): boolean =>
      (after === undefined || keyOf(row) > keyOf(after)) &&
      (filter.layer === undefined || row.layer === filter.layer) &&
      (filter.share === undefined || row.share === filter.share) &&
      (filter.state === undefined || row.state === filter.state);
    return this.#rows.all().filter(matches).toSorted(byKey).slice(0, limit).map(replicaOf);
  }

  async statesAfter(after: Digest | undefined, limit: number): Promise<LayerReplicaStates[]> {
    const byLayer = Map.groupBy(this.#rows.all().filter((row) => after === undefined || row.layer > after).toSorted(byKey), ({ layer }) => layer);
    return [...byLayer].slice(0, limit).map(([layer, rows]) => ({ layer, replicas: rows.map(({ share, state }) => ({ share, state })) }));
  }

  async heldAfter(share: string, after: Digest | undefined, limit: number): Promise<HeldLayer[]> {
    const held = this.#rows.all().filter((row) => row.share === share && (after === undefined || row.layer > after)).toSorted(byKey);
    return held.slice(0, limit).map(({ layer, sizeBytes, state, priority, keptAt }) => ({ layer, sizeBytes, state, priority, passedAt: keptAt ?? null }));
  }

  async usage(): Promise<ReplicaUsage[]> {
    const sums = new Map<string, ReplicaUsage>();
    for (const { share, state, sizeBytes } of this.#rows.all()) {
      const sum = sums.get(`${share} ${state}`) ?? { share, state, count: 0, sizeBytes: 0 };
      sums.set(`${share} ${state}`, { ...sum, count: sum.count + 1, sizeBytes: sum.sizeBytes + sizeBytes });
    }
    return [...sums.keys()].toSorted().flatMap((key) => sums.get(key) ?? []);
  }
}
