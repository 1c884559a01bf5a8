import type { Digest } from '#oci';

import type { ReplicaState } from './replica-state.js';

/**
 * Why a replica is not made of bytes that passed: the share has it (`THERE`) or somebody makes it (`COPYING`); it drains, or the whole share does; no other share has it ready, so that nobody could
 * make it again (`NO_SOURCE`); the share has no room for it yet, or not that part of it which is left for what nobody ordered (`UNORDERED_FULL`).
 */
export type PassingRefusal = 'THERE' | 'COPYING' | 'DRAINING' | 'SHARE_DRAINING' | 'NO_SOURCE' | 'SHARE_FULL' | 'UNORDERED_FULL';

/** Of what passed longest ago, how many replicas give way to one layer at most; the next one has more go. */
export const GIVING_WAY_MAX = 200;

/** How much a share may hold that nobody ordered, and what goes when more passes. */
export interface UnorderedLimits {
  /** Bytes at most, but for what drains. */
  readonly bytesMax: number;
  /** Bytes down to which what passed longest ago goes: a drain takes its time, so that room has to come free before it is needed. At most `bytesMax`. */
  readonly stayingBytes: number;
  /** What passed within this time gives way only where there would be more than `bytesMax`; >= 0. */
  readonly togetherMs: number;
  /** How long what gives way may still be used by answers that were given before: {@link DrainOrder.graceMs}. */
  readonly graceMs: number;
}

/** A ready replica that nobody ordered. */
export interface UnorderedReplica {
  readonly layer: Digest;
  readonly sizeBytes: number;
  readonly passedAt: Date;
}

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
  /** Of replicas there that nobody ordered and that do not drain, once others gave way; and of those at most. */
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

/**
 * Which replicas that nobody ordered give way to one more: those that passed longest ago, until what stays and the new one are within the limits.
 * @param oldest the ready ones that may go, those that passed longest ago first.
 * @param unorderedBytes of all that nobody ordered and that do not drain.
 */
export function givingWay(sizeBytes: number, { oldest, unorderedBytes, now }: { readonly oldest: readonly UnorderedReplica[]; readonly unorderedBytes: number; readonly now: Date }, limits: UnorderedLimits): UnorderedReplica[] {
  const going: UnorderedReplica[] = [];
  if (sizeBytes > limits.bytesMax) return going;
  let bytes = unorderedBytes + sizeBytes;
  for (const replica of oldest) {
    const passedLately = now.getTime() - replica.passedAt.getTime() <= limits.togetherMs;
    if (bytes <= (passedLately ? limits.bytesMax : limits.stayingBytes)) break;
    going.push(replica);
    bytes -= replica.sizeBytes;
  }
  return going;
}
