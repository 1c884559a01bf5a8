import type { WriteFence } from '#claims';

/** A share that is being drained, or that was and is to stay empty. */
export interface ShareDrain {
  readonly share: string;
  /** Another one after every undrain. */
  readonly id: string;
  readonly state: 'draining' | 'drained';
  /** Why, as the operator said. */
  readonly reason: string;
  /** Who ordered it. */
  readonly orderedBy: string;
  readonly beganAt: Date;
  readonly drainedAt?: Date;
  /** Layers that only this share has, and for whose copy there was no room when it was last looked. */
  readonly withoutRoom: number;
}

/** Some replicas, and their bytes. */
export interface ReplicaSum {
  readonly count: number;
  readonly sizeBytes: number;
}

/** What a share still has. */
export interface DrainLeft {
  /** Not taken out of the answers yet. */
  readonly ready: ReplicaSum;
  /** Those of the ready ones that no other share has ready: they are copied away first. */
  readonly last: ReplicaSum;
  /** Orders that are to be taken back. */
  readonly ordered: ReplicaSum;
  /** Out of the answers, their files still there. */
  readonly draining: ReplicaSum;
  /** Until when some of those that drain are left alone because of answers that were given before; undefined when that is over for all. */
  readonly restingUntil?: Date;
}

/**
 * Which shares are being drained. A drain is ordered (`begin`), and from then on the share takes no orders, in any process; `drainShare` takes away what it has, piece by piece; when nothing is
 * left it is `drained`, and stays closed until the drain is ended (`end`), which may be at any time.
 */
export abstract class ShareDrains {
  /** Begins a drain; one that is under way, or done, stands as it is. When it returns, no order is taken for the share any more. By the store's clock. */
  abstract begin(order: Pick<ShareDrain, 'share' | 'reason' | 'orderedBy'>): Promise<ShareDrain>;

  /** Ends a drain, done or not: when it returns nothing is taken from the share for it any more. @returns false when there is none. */
  abstract end(share: string): Promise<boolean>;

  /** All of them, by share. */
  abstract list(): Promise<readonly ShareDrain[]>;

  /** What the share has at this moment; whether it is drained does not matter. */
  abstract left(share: string): Promise<DrainLeft>;

  /** Notes how many layers could not be copied away for want of room. */
  abstract noteWithoutRoom(drain: Pick<ShareDrain, 'share' | 'id'>, count: number): Promise<void>;

  /** Notes that the share is empty, if it is and this drain holds, and tells the world in the same step. @returns true for the one call that did it. */
  abstract finish(drain: Pick<ShareDrain, 'share' | 'id'>): Promise<boolean>;

  /** The right to take from the share: lost when that drain ends, with `DRAIN_ENDED`. */
  abstract fence(drain: Pick<ShareDrain, 'share' | 'id'>): WriteFence;
}
