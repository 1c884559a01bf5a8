import { randomUUID } from 'node:crypto';

import type { Claim, Claimed, ClaimRequest } from '#claims';

/** A row of work in memory, with its claim. */
export interface MemoryWork<Item> {
  item: Item;
  attempts: number;
  notBefore: number;
  lastError: string | undefined;
  claim: Claim | undefined;
}

/** A fresh row of work. */
export function memoryWork<Item>(item: Item): MemoryWork<Item> {
  return { item, attempts: 0, notBefore: Number.NEGATIVE_INFINITY, lastError: undefined, claim: undefined };
}

/** Claims the first due rows of `sorted`. */
export function claimWork<Item>(sorted: readonly MemoryWork<Item>[], { owner, limit, now, leaseMs }: ClaimRequest): Claimed<Item>[] {
  const nowMs = now.getTime();
  const due = sorted.filter((work) => work.notBefore <= nowMs && (work.claim === undefined || work.claim.expiresAt.getTime() <= nowMs));
  return due.slice(0, limit).map((work) => {
    work.attempts += 1;
    work.claim = { id: randomUUID(), owner, expiresAt: new Date(nowMs + leaseMs), attempt: work.attempts };
    return { item: work.item, claim: work.claim };
  });
}

/** Extends the claims that are held. */
export function renewWork(works: readonly MemoryWork<unknown>[], claimIds: readonly string[], expiresAt: Date): Set<string> {
  const kept = new Set<string>();
  for (const work of works) {
    if (work.claim === undefined || !claimIds.includes(work.claim.id)) continue;
    work.claim = { ...work.claim, expiresAt };
    kept.add(work.claim.id);
  }
  return kept;
}

/** Gives a row back; with `retry` as failed, without as untried. */
export function giveBackWork(work: MemoryWork<unknown> | undefined, retry?: { readonly notBefore: Date; readonly reason: string }): boolean {
  if (work === undefined) return false;
  work.claim = undefined;
  if (retry === undefined) work.attempts -= 1;
  else {
    work.notBefore = retry.notBefore.getTime();
    work.lastError = retry.reason;
  }
  return true;
}
