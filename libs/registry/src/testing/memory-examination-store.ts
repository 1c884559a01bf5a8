import type { Claimed, ClaimRequest, Postponement } from '#claims';
import { MemoryClaims, MemoryWorkList } from '#claims/testing';

import { type Examination, ExaminationStore, type Intake, PUSH_PRIORITY, wantedByEvents } from '../examination-store.js';
import type { RegistryEvent } from '../registry-event.js';
import { imageId, MemoryCatalogue, type MemoryExamination, unclaimed } from './memory-catalogue.js';

/** {@link ExaminationStore} in memory. */
export class MemoryExaminationStore extends ExaminationStore {
  readonly #catalogue: MemoryCatalogue;
  readonly #claims: MemoryClaims<MemoryExamination, Examination>;
  readonly work: MemoryWorkList<MemoryExamination>;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
    this.#claims = new MemoryClaims({ rows: () => catalogue.examinations.values(), isOpen: () => true, order: mostUrgentFirst, item: (row) => row.item });
    this.work = new MemoryWorkList({
      rows: () => catalogue.examinations.values(), isOpen: () => true, keyOf: ({ item }) => [item.repository, item.reference],
      orderOf: ({ item, wantedAt }) => [-item.priority, wantedAt.getTime(), item.repository, item.reference],
      subjectOf: ({ item: { repository, reference } }) => ({ repository, reference }), wantedAt: (row) => row.wantedAt,
    });
  }

  async intake(events: readonly RegistryEvent[], now: Date): Promise<Intake> {
    const fresh = events.filter((event) => {
      const known = this.#catalogue.receivedEvents.has(event.id);
      if (!known) this.#catalogue.receivedEvents.set(event.id, now);
      return !known;
    });
    const wanted = wantedByEvents(fresh);
    for (const { repository, reference, pushedAt } of wanted) this.#want(repository, reference, pushedAt, now);
    return { fresh, duplicateCount: events.length - fresh.length, wantedCount: wanted.length };
  }

  claim(request: ClaimRequest): Promise<Claimed<Examination>[]> {
    return this.#claims.claim(request);
  }

  renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    return this.#claims.renew(claimIds, now, leaseMs);
  }

  release(claimId: string): Promise<boolean> {
    return this.#claims.release(claimId);
  }

  postpone(claimId: string, postponement: Postponement): Promise<boolean> {
    return this.#claims.postpone(claimId, postponement);
  }

  async settle(claimId: string, generation: number, now: Date): Promise<boolean> {
    const claimed = this.#claims.held(claimId);
    if (claimed === undefined) return false;
    const { repository, reference } = claimed.item;
    if (claimed.item.generation !== generation) {
      Object.assign(claimed, unclaimed());
      return true;
    }
    this.#catalogue.examinations.delete(imageId(repository, reference));
    if (claimed.backfill) this.#countForBackfill(repository, now);
    return true;
  }

  async openCount(repository?: string): Promise<number> {
    return [...this.#catalogue.examinations.values()].filter(({ item }) => repository === undefined || item.repository === repository).length;
  }

  async pruneEvents(before: Date, limit: number): Promise<number> {
    const old = [...this.#catalogue.receivedEvents].filter(([, at]) => at < before).toSorted(([, a], [, b]) => a.getTime() - b.getTime()).slice(0, limit);
    for (const [id] of old) this.#catalogue.receivedEvents.delete(id);
    return old.length;
  }

  #want(repository: string, reference: string, pushedAt: Date | undefined, now: Date): void {
    const id = imageId(repository, reference);
    const known = this.#catalogue.examinations.get(id);
    const before = known?.item.pushedAt;
    const latest = before === undefined || (pushedAt !== undefined && pushedAt > before) ? pushedAt : before;
    const generation = (known?.item.generation ?? 0) + 1;
    const item = { repository, reference, generation, priority: PUSH_PRIORITY, ...(latest === undefined ? {} : { pushedAt: latest }) };
    if (known === undefined) this.#catalogue.examinations.set(id, { ...unclaimed(), item, wantedAt: now, backfill: false });
    else Object.assign(known, { item, notBefore: unclaimed().notBefore });
  }

  #countForBackfill(repository: string, now: Date): void {
    const known = this.#catalogue.repositories.get(repository);
    if (known?.backfill.state !== 'examining') return;
    const doneCount = known.backfill.doneCount + 1;
    const done = doneCount >= known.backfill.totalCount ? { state: 'done' as const, finishedAt: now } : {};
    known.backfill = { ...known.backfill, doneCount, ...done };
  }
}

function mostUrgentFirst(one: MemoryExamination, other: MemoryExamination): number {
  const [a, b] = [imageId(one.item.repository, one.item.reference), imageId(other.item.repository, other.item.reference)];
  return other.item.priority - one.item.priority || one.wantedAt.getTime() - other.wantedAt.getTime() || (a < b ? -1 : 1);
}
