import type { Digest } from '#oci';
import { MINUTE_MS } from '#quantities';
import type { RegionName } from '#regions';

/** How long a lease holds without renewal. Clients renew after a third of it. */
export const LEASE_TTL_MS = 15 * MINUTE_MS;

/** One replica that a node may have mounted. */
export interface HeldReplica {
  readonly layer: Digest;
  readonly share: string;
}

/** A node's claim that it has mounted what one answer gave it. While it holds, those replicas are not removed. */
export interface Lease {
  /** A random UUID: whoever knows it may renew and release it. */
  readonly id: string;
  readonly region: RegionName;
  /** Every replica that the answer named: which of several sources the node took is not known. */
  readonly replicas: readonly HeldReplica[];
  readonly grantedAt: Date;
  readonly expiresAt: Date;
  /** True when several pulls were given it: whoever releases it speaks for itself only, so it is left to run out. */
  readonly shared: boolean;
}

/** A lease as it is given with an answer. */
export type GrantedLease = Pick<Lease, 'id' | 'expiresAt' | 'shared'>;

/** What the wait before a removal is made of. */
export interface RemovalWait {
  readonly leaseTtlMs: number;
  /** How old a lookup's map may be while it still hands out mounts. */
  readonly mapAgeMaxMs: number;
}

/**
 * How long after a replica began draining its file may go, if no lease holds it by then, whatever is known of those who answer (`AnsweringProcesses` ends that wait early), in milliseconds. A lookup whose map is late may
 * hand it out until its map is too old; that lease may not be in the store, for leases are written behind and a crash loses
 * those that were not; so every lease of which nothing is known has run out too.
 */
export function removalWaitMs(wait: RemovalWait): number {
  return wait.mapAgeMaxMs + wait.leaseTtlMs;
}

const LEASE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True when `text` can be the id of a lease. */
export function isLeaseId(text: string): boolean {
  return LEASE_ID.test(text);
}
