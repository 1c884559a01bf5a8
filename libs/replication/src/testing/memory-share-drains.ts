import { randomUUID } from 'node:crypto';

import { WriteFence } from '#claims';

import type { Replica } from '../replica.js';
import { ReplicationError } from '../replication-error.js';
import { type DrainLeft, type ReplicaSum, type ShareDrain, ShareDrains } from '../share-drains.js';

/** What {@link MemoryShareDrains} has to know of a replica. */
export interface DrainedReplica extends Pick<Replica, 'state' | 'sizeBytes'> {
  /** Whether its removal was tried and put off. */
  readonly isPostponed: boolean;
  /** Whether it is ready, and nowhere else. */
  readonly isLast: boolean;
  readonly notBefore: Date;
}

/** Drains in memory, by this process's clock. */
export class MemoryShareDrains extends ShareDrains {
  /** Shares that were told to be empty, in order. */
  readonly told: string[] = [];
  readonly #replicasOf: (share: string) => readonly DrainedReplica[];
  readonly #drains = new Map<string, ShareDrain>();

  constructor(replicasOf: (share: string) => readonly DrainedReplica[]) {
    super();
    this.#replicasOf = replicasOf;
  }

  /** Whether the share takes no orders. */
  isDraining(share: string): boolean {
    return this.#drains.has(share);
  }

  async begin({ share, reason, orderedBy }: Pick<ShareDrain, 'share' | 'reason' | 'orderedBy'>): Promise<ShareDrain> {
    const drain = this.#drains.get(share) ?? { share, reason, orderedBy, id: randomUUID(), state: 'draining', beganAt: new Date(), withoutRoom: 0 };
    this.#drains.set(share, drain);
    return drain;
  }

  async end(share: string): Promise<boolean> {
    return this.#drains.delete(share);
  }

  async list(): Promise<readonly ShareDrain[]> {
    return [...this.#drains.values()].toSorted((a, b) => (a.share < b.share ? -1 : 1));
  }

  async left(share: string): Promise<DrainLeft> {
    const all = this.#replicasOf(share);
    const sum = (which: (replica: DrainedReplica) => boolean): ReplicaSum => {
      const some = all.filter(which);
      return { count: some.length, sizeBytes: some.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0) };
    };
    const resting = all.filter(({ state, isPostponed, notBefore }) => state === 'draining' && !isPostponed && notBefore.getTime() > Date.now()).map(({ notBefore }) => notBefore.getTime());
    return {
      ready: sum(({ state }) => state === 'ready'),
      last: sum(({ isLast }) => isLast),
      ordered: sum(({ state }) => state === 'wanted' || state === 'copying'),
      draining: sum(({ state }) => state === 'draining'),
      ...(resting.length === 0 ? {} : { restingUntil: new Date(Math.max(...resting)) }),
    };
  }

  async noteWithoutRoom({ share, id }: Pick<ShareDrain, 'share' | 'id'>, count: number): Promise<void> {
    const drain = this.#held(share, id);
    if (drain !== undefined) this.#drains.set(share, { ...drain, withoutRoom: count });
  }

  async finish({ share, id }: Pick<ShareDrain, 'share' | 'id'>): Promise<boolean> {
    const drain = this.#held(share, id);
    if (drain?.state !== 'draining' || this.#replicasOf(share).length > 0) return false;
    this.#drains.set(share, { ...drain, state: 'drained', drainedAt: new Date(), withoutRoom: 0 });
    this.told.push(share);
    return true;
  }

  fence({ share, id }: Pick<ShareDrain, 'share' | 'id'>): WriteFence {
    const isHeld = (): boolean => this.#held(share, id) !== undefined;
    return new (class extends WriteFence {
      async hold(): Promise<void> {
        if (!isHeld()) throw new ReplicationError('DRAIN_ENDED', `${share} is not drained any more`, { transient: true, details: { share } });
      }
    })();
  }

  #held(share: string, id: string): ShareDrain | undefined {
    const drain = this.#drains.get(share);
    return drain?.id === id ? drain : undefined;
  }
}
