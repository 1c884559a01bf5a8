import type { ReplicaState } from './replica-state.js';

/**
 * Why a replica is not made of bytes that passed: the share has it (`THERE`) or somebody makes it (`COPYING`); it drains, or the whole share does; no other share has it ready, so that nobody could
 * make it again (`NO_SOURCE`); the share has no room for it, or not that part of it which is left for what nobody ordered (`UNORDERED_FULL`).
 */
export type PassingRefusal = 'THERE' | 'COPYING' | 'DRAINING' | 'SHARE_DRAINING' | 'NO_SOURCE' | 'SHARE_FULL' | 'UNORDERED_FULL';

/** What is known of a layer that passed and of the share that might keep it. */
export interface PassingCase {
  readonly state: ReplicaState;
  /** Whether some worker holds a claim on it that has not run out. */
  readonly isClaimed: boolean;
  readonly isReadyElsewhere: boolean;
  readonly isShareDraining: boolean;
  /** Of its file. */
  readonly sizeBytes: number;
  /** Of all replicas of the share that are not gone, and of what is reserved there. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** Of replicas there that nobody ordered, and of those at most. */
  readonly unorderedBytes: number;
  readonly unorderedBytesMax: number;
}

/**
 * Decides whether a replica is made of bytes that passed: what was ordered always is, for its room is taken and its copy is saved; what was not, within the capacity (I6) and within the part
 * that is left for it. @returns the reason why not; undefined: it is made.
 */
export function admitPassing(of: PassingCase): PassingRefusal | undefined {
  if (of.state === 'ready') return 'THERE';
  if (of.state === 'draining') return 'DRAINING';
  if (of.isClaimed) return 'COPYING';
  if (of.isShareDraining) return 'SHARE_DRAINING';
  if (!of.isReadyElsewhere) return 'NO_SOURCE';
  if (of.state !== 'gone') return undefined;
  if (of.unorderedBytes + of.sizeBytes > of.unorderedBytesMax) return 'UNORDERED_FULL';
  return of.usedBytes + of.sizeBytes > of.capacityBytes ? 'SHARE_FULL' : undefined;
}
