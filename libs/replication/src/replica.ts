import type { Digest } from '#oci';

import type { ReplicaState } from './replica-state.js';

/** Names a replica: one layer on one share. */
export interface ReplicaKey {
  readonly layer: Digest;
  /** The share's name. */
  readonly share: string;
}

/** One expanded layer on one share, as it is. */
export interface Replica extends ReplicaKey {
  /** Never `gone`: what is gone has no row. */
  readonly state: Exclude<ReplicaState, 'gone'>;
  /** Logical bytes of its file. They count against the share's capacity from the moment it is wanted until it is gone. */
  readonly sizeBytes: number;
  /** The larger, the sooner it is copied. */
  readonly priority: number;
  /** Why it is what it is, for operators: what the plan or the operator said when it was last ordered or drained. */
  readonly reason: string;
  readonly wantedAt: Date;
  /** Bytes of verified pieces, holes not counted. */
  readonly copiedBytes: number;
  readonly readyAt?: Date;
  readonly drainingSince?: Date;
  /** Why the last try to copy or remove it failed. */
  readonly lastError?: string;
  /** Tries of the copy, or of the removal. */
  readonly attempts: number;
}

/** How far a copy came: the partial file and which of its pieces were verified in it. Bytes as `PieceSet` writes them. */
export interface CopyCheckpoint {
  readonly path: string;
  readonly pieces: Uint8Array;
}

/** A replica to be copied, and what an earlier try left behind. */
export interface ReplicaCopy extends Replica {
  readonly checkpoint?: CopyCheckpoint;
}
