import type { Claimed, ClaimRequest, ClaimSource, WorkList, WriteFence } from '#claims';
import type { Digest } from '#oci';

import type { OrderOutcome, ReplicaOrder } from './admit-orders.js';
import type { PassingRefusal, UnorderedLimits } from './admit-passing.js';
import type { CopyCheckpoint, Replica, ReplicaCopy, ReplicaKey } from './replica.js';

/** The part of a share that taking orders needs; every `Share` is one. */
export interface ShareCapacity {
  readonly name: string;
  readonly capacityBytes: number;
}

/** Why and from when on something should go. */
export interface DrainOrder {
  readonly reason: string;
  /** By the clock of who orders it. What counts is that of the store, as for claims. */
  readonly now: Date;
  /** How long answers that were given before may still be used to mount it, in milliseconds: the file stays that long, unless it is known before that nobody can (`endGraces`). */
  readonly graceMs: number;
  /** Whose right it is to order this: lost, nothing changes. Without one, anybody's. */
  readonly fence?: WriteFence;
}

/** What became of a drain: `LAST_REPLICA` of its layer stays ready; `NOT_READY` there was nothing to drain. */
export type DrainOutcome = 'draining' | 'LAST_REPLICA' | 'NOT_READY';

/** What became of a replica whose file is not what it should be: ordered anew; the `LAST_REPLICA` stays; `NOT_READY` it was not handed out any more. */
export type LossOutcome = 'wanted' | 'LAST_REPLICA' | 'NOT_READY';

/** What became of taking an order back: it is `gone`, or bytes were written and are being removed, or it is `NOT_OPEN`: neither wanted nor copying. */
export type CancelOutcome = 'gone' | 'draining' | 'NOT_OPEN';

/** A layer whose bytes passed by the share's region, so that its replica can be made of them. */
export interface PassingLayer extends Pick<ReplicaOrder, 'layer' | 'sizeBytes' | 'reason'> {
  /** How much the share may hold that nobody ordered. */
  readonly unordered: UnorderedLimits;
}

/** What became of a passing layer: an order is served, or a replica is made that nobody `ordered`, under this claim; or why not. And what passed before and `gaveWay` to it: it drains now. */
export type PassingOutcome = ({ readonly claimed: Claimed<ReplicaCopy>; readonly ordered: boolean } | { readonly refused: PassingRefusal }) & { readonly gaveWay: readonly Digest[] };

/** How many replicas of one state a share has, and their bytes. */
export interface ReplicaUsage {
  readonly share: string;
  readonly state: Replica['state'];
  readonly count: number;
  readonly sizeBytes: number;
}

/** Where the replicas of one layer are in their life. */
export interface LayerReplicaStates {
  readonly layer: Digest;
  /** At least one, in no order. */
  readonly replicas: readonly Pick<Replica, 'share' | 'state'>[];
}

/** Which replicas a list shows; every field that is given must match. */
export interface ReplicaFilter {
  readonly layer?: Digest;
  readonly share?: string;
  readonly state?: Replica['state'];
}

/** What plans depend on of one replica. */
export interface HeldLayer extends Pick<Replica, 'layer' | 'sizeBytes' | 'state' | 'priority'> {
  /** Since when a gateway keeps it because it passed; null of what was ordered. */
  readonly passedAt: Date | null;
}

/** Why a copy is given to nobody: no other share has the layer ready; or who copies it to another share does this one, too. */
export const COPY_BLOCKS = ['SOURCE_MISSING', 'COPIED_ELSEWHERE'] as const;

/**
 * What is where: one row for each layer on a share, from the moment it is wanted until its file is gone.
 *
 * A plan's order makes the row (`want`); a worker claims it from `copies`, notes its `progress`, and settles it with `complete`;
 * now the row is handed out by lookups. A later plan drains it; a worker claims it from `removals`, notes `beginRemoval`, and settles it with `gone`.
 * Until that note a draining row is ready again as soon as somebody wants it: its file is whole.
 * The home share's rows begin ready instead: `recordReady`. All changes follow `REPLICA_TRANSITIONS`.
 *
 * Methods that take a claim's id return false, and change nothing, when the claim was lost.
 */
export abstract class ReplicaStore {
  /**
   * Copies to be made: wanted rows, and copying ones whose worker is gone; the most urgent first. Only rows of layers that some other share
   * has ready: there is no source for the others. While one worker copies a layer, its other copies are left to that worker, whose copies pass on to
   * each other what they have, so that the bytes leave the home share once; when that copy ends, or its claim does, anybody may have them.
   */
  abstract readonly copies: ClaimSource<ReplicaCopy>;

  /** All wanted and copying rows, for operators; subjects and key are layer and share. What blocks them is one of {@link COPY_BLOCKS}. */
  abstract readonly copyWork: WorkList;

  /** All draining rows, for operators, those in their grace time included: they wait. Subjects and key are layer and share. */
  abstract readonly removalWork: WorkList;

  /** Draining rows whose grace time is over. Leases are asked for by who removes; before it removes, it notes that with `beginRemoval`. */
  abstract readonly removals: ClaimSource<Replica>;

  /**
   * Takes orders for one share, in one transaction, as `admitOrders` decides; replicas that are kept take the larger priority, and
   * the reason unless they are ready. A draining replica that was ready before, and whose removal has not begun, is ready again at once; who claimed
   * its removal has lost that claim. Two callers never pass the share's capacity together; what {@link RoomLedger} has reserved is not left for orders. A share that is being drained takes none. Idempotent.
   * @param fence whose right it is to order this: once that is lost nothing is ordered, and its error is thrown.
   * @returns what became of each order, in the order given.
   */
  abstract want(share: ShareCapacity, orders: readonly ReplicaOrder[], now: Date, fence?: WriteFence): Promise<OrderOutcome[]>;

  /**
   * Claims one replica for who has the layer's bytes at hand, in one transaction, as `admitPassing` decides: an order that waits is taken over, whatever its turn, and what nobody
   * ordered is begun at once, and what passed longest ago is drained for it as `givingWay` says. What is made is settled like a copy; other shares' copies of the layer do not wait for it, for nothing is passed on to them.
   */
  abstract takePassing(share: ShareCapacity, passing: PassingLayer, request: Pick<ClaimRequest, 'owner' | 'now' | 'leaseMs'>): Promise<PassingOutcome>;

  /**
   * Has a replica that passed and drains ready again because its layer passes once more, as what passed last: its file is whole, and nothing has to be made. Not on a share that is being drained, nor once its
   * removal has begun.
   * @returns whether it was recalled.
   */
  abstract recallPassed(replica: ReplicaKey, now: Date): Promise<boolean>;

  /** Gives up a replica that its holder makes and nobody ordered: what was written for it is removed. @returns false when the claim was lost. */
  abstract abandon(claimId: string, reason: string, now: Date): Promise<boolean>;

  /**
   * Notes that the share holds the layer whole, because it was expanded there; a copy under way loses its claim, and so does a removal that has
   * not begun. Idempotent. The capacity is not asked: the bytes are there.
   * @returns false once the removal of the replica has begun: its file may go at any moment. To be tried again later.
   */
  abstract recordReady(replica: ReplicaKey & { readonly sizeBytes: number; readonly reason: string }, now: Date): Promise<boolean>;

  /** Notes how far a copy came. Not told to the feed. */
  abstract progress(claimId: string, copiedBytes: number, checkpoint: CopyCheckpoint): Promise<boolean>;

  /** Settles a copy: the file is whole, verified, and under its final name. `sizeBytes` are its own: the order may have been for another version of it. */
  abstract complete(claimId: string, sizeBytes: number, now: Date): Promise<boolean>;

  /** Settles a removal: no file is left. */
  abstract gone(claimId: string): Promise<boolean>;

  /**
   * Notes that the file of a draining replica is about to be deleted: to be called right before that, for there is no way back from here. The note
   * stays, whatever becomes of the claim: released, expired, or postponed. Idempotent.
   * @returns false when the claim was lost, also to a recall: nothing may be deleted.
   */
  abstract beginRemoval(claimId: string): Promise<boolean>;

  /**
   * Makes the draining replicas of a layer that has no ready one ready again, those that were ready before and whose removal has not begun: something
   * refers to the layer again. Which of them stay is the next plan's to say. Idempotent.
   * @returns how many were recalled: 0 when one is ready, or none can be.
   */
  abstract recall(layer: Digest, reason: string): Promise<number>;

  /**
   * Takes a ready replica out of the answers; its file goes when the grace time is over and nobody holds a lease. The last ready replica of a layer
   * stays: of two drains at once, one is refused (I2). Draining it again changes nothing.
   */
  abstract drain(replica: ReplicaKey, order: DrainOrder): Promise<DrainOutcome>;

  /**
   * Ends the grace of up to `limit` replicas that drain, where nobody hands them out any more: those that left the answers in a transaction up to `knownTo`, a place in the feed that everybody who answers knows, as
   * every lease that was given on them is known by then. What is due anyway, was put off, or is being removed, stays as it is. One statement; repeating it changes nothing.
   * @returns how many are due now that were not.
   */
  abstract endGraces(terms: { readonly knownTo: bigint; readonly limit: number; readonly now: Date }): Promise<number>;

  /**
   * Takes a ready replica whose file was found missing or damaged out of the answers and orders it again at once, to be copied from another share. The
   * last ready replica of a layer stays, as with `drain`. What may still stand under the final name is removed if that order is taken back.
   */
  abstract lose(replica: ReplicaKey, reason: string, now: Date): Promise<LossOutcome>;

  /** Drains every replica of a layer that nothing references any more, the last one too, and takes back what is not ready. @returns how many rows are left. */
  abstract drainUnreferenced(layer: Digest, order: DrainOrder): Promise<number>;

  /** Takes an order back that is not ready yet; a copy under way loses its claim. */
  abstract cancel(replica: ReplicaKey, order: DrainOrder): Promise<CancelOutcome>;

  /** All rows of these layers, by layer and share. */
  abstract find(layers: readonly Digest[]): Promise<Replica[]>;

  /** The paths of what earlier tries left on a share, of copies of these layers that are still to be made. */
  abstract checkpointPaths(share: string, layers: readonly Digest[]): Promise<Set<string>>;

  /** Up to `limit` rows that match, after the key `after` (undefined: from the first), by layer and share. */
  abstract page(after: ReplicaKey | undefined, limit: number, filter?: ReplicaFilter): Promise<Replica[]>;

  /** The replicas of up to `limit` layers with digests after `after` (undefined: from the first), by layer: for full loads, which read nothing else of them. */
  abstract statesAfter(after: Digest | undefined, limit: number): Promise<LayerReplicaStates[]>;

  /** Up to `limit` replicas on one share, of layers with digests after `after` (undefined: from the first), by layer: for plans, which read nothing else of them. */
  abstract heldAfter(share: string, after: Digest | undefined, limit: number): Promise<HeldLayer[]>;

  /** What every share holds, by state; the sum over all states is the reserved part of its capacity. States without replicas are left out. */
  abstract usage(): Promise<ReplicaUsage[]>;
}
