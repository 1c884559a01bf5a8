import { randomUUID } from 'node:crypto';

import { SECOND_MS } from '#quantities';

import { AzureFilesError } from './azure-error.js';

/** The duration of a lease that does not end by itself. */
export const INFINITE = -1;

/** A lease on a share or a file, as it is kept. */
export interface Lease {
  readonly id: string;
  /** Seconds, or {@link INFINITE}. */
  readonly seconds: number;
  /** When it runs out (milliseconds since the epoch); absent for an infinite one. */
  readonly endsAt?: number | undefined;
  /** Set once it was broken: it holds until then and is nobody's afterwards. */
  readonly brokenAt?: number | undefined;
}

/** The states of the lease protocol. A file's lease never expires and breaks at once. */
export type LeaseState = 'available' | 'leased' | 'expired' | 'breaking' | 'broken';

/** What a client asks of a lease. */
export interface LeaseRequest {
  readonly action: 'acquire' | 'renew' | 'change' | 'release' | 'break';
  readonly id?: string | undefined;
  readonly proposedId?: string | undefined;
  /** Of a new lease. */
  readonly seconds: number;
  /** How long a broken lease still holds; absent for what is left of it. */
  readonly breakSeconds?: number | undefined;
}

/** What came of it: the lease as it is now (absent when it was released), and the seconds until a broken one is over. */
export interface LeaseOutcome {
  readonly lease: Lease | undefined;
  readonly status: number;
  readonly remainingSeconds?: number;
}

/** The state of `lease` at `now` (milliseconds since the epoch). */
export function leaseState(lease: Lease | undefined, now: number): LeaseState {
  if (lease === undefined) return 'available';
  if (lease.brokenAt !== undefined) return now < lease.brokenAt ? 'breaking' : 'broken';
  return lease.endsAt !== undefined && now >= lease.endsAt ? 'expired' : 'leased';
}

/** True while `lease` keeps others from changing what it is on. */
export function isHeld(lease: Lease | undefined, now: number): boolean {
  const state = leaseState(lease, now);
  return state === 'leased' || state === 'breaking';
}

/**
 * One step of the lease protocol.
 * @throws {AzureFilesError} where the protocol refuses it (409).
 */
export function stepLease(lease: Lease | undefined, request: LeaseRequest, now: number): LeaseOutcome {
  return STEPS[request.action](lease, request, now);
}

/**
 * Checks the `x-ms-lease-id` of a request against the lease on its target.
 * @param writes reads need no id, but one that is given must be the right one.
 * @throws {AzureFilesError} 412
 */
export function checkLease(lease: Lease | undefined, { id, writes, now }: { readonly id: string | undefined; readonly writes: boolean; readonly now: number }): void {
  const held = isHeld(lease, now);
  if (held && id === undefined && writes) throw new AzureFilesError('LeaseIdMissing');
  if (id === undefined) return;
  if (!held) throw new AzureFilesError(lease === undefined ? 'LeaseNotPresentWithFileOperation' : 'LeaseLost');
  if (lease?.id !== id) throw new AzureFilesError('LeaseIdMismatchWithFileOperation');
}

type Step = (lease: Lease | undefined, request: LeaseRequest, now: number) => LeaseOutcome;

const STEPS: Readonly<Record<LeaseRequest['action'], Step>> = {
  acquire(lease, { proposedId, seconds }, now) {
    if (leaseState(lease, now) === 'breaking') throw new AzureFilesError('LeaseIsBreakingAndCannotBeAcquired');
    if (leaseState(lease, now) === 'leased' && lease?.id !== proposedId) throw new AzureFilesError('LeaseAlreadyPresent');
    return { lease: lasting(proposedId ?? randomUUID(), seconds, now), status: 201 };
  },
  renew(lease, { id }, now) {
    const own = ownLease(lease, id);
    if (own.brokenAt !== undefined) throw new AzureFilesError('LeaseIsBrokenAndCannotBeRenewed');
    return { lease: lasting(own.id, own.seconds, now), status: 200 };
  },
  change(lease, { id, proposedId }, now) {
    const state = leaseState(lease, now);
    if (lease === undefined || state === 'expired' || state === 'broken') throw new AzureFilesError('LeaseNotPresentWithLeaseOperation');
    if (state === 'breaking') throw new AzureFilesError('LeaseIsBreakingAndCannotBeChanged');
    // Repeated after an answer that was lost: the change has been made.
    if (lease.id !== proposedId) ownLease(lease, id);
    return { lease: { ...lease, id: proposedId ?? lease.id }, status: 200 };
  },
  release(lease, { id }) {
    ownLease(lease, id);
    return { lease: undefined, status: 200 };
  },
  break(lease, { breakSeconds }, now) {
    if (lease === undefined) throw new AzureFilesError('LeaseNotPresentWithLeaseOperation');
    const left = Math.max(0, (lease.brokenAt ?? lease.endsAt ?? now) - now);
    const ms = breakSeconds === undefined ? left : lease.seconds === INFINITE && lease.brokenAt === undefined ? breakSeconds * SECOND_MS : Math.min(left, breakSeconds * SECOND_MS);
    return { lease: { ...lease, brokenAt: now + ms }, status: 202, remainingSeconds: Math.ceil(ms / SECOND_MS) };
  },
};

function lasting(id: string, seconds: number, now: number): Lease {
  return { id, seconds, endsAt: seconds === INFINITE ? undefined : now + seconds * SECOND_MS };
}

function ownLease(lease: Lease | undefined, id: string | undefined): Lease {
  if (lease === undefined) throw new AzureFilesError('LeaseNotPresentWithLeaseOperation');
  if (lease.id !== id) throw new AzureFilesError('LeaseIdMismatchWithLeaseOperation');
  return lease;
}
