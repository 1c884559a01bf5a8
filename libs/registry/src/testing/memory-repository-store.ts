import type { Claimed, ClaimRequest, Postponement } from '#claims';
import { MemoryClaims, MemoryWorkList } from '#claims/testing';

import { PUSH_PRIORITY } from '../examination-store.js';
import { type Backfill, BackfillStore, type Repository, RepositoryStore } from '../repository-store.js';
import { imageId, MemoryCatalogue, type MemoryRepository, unclaimed } from './memory-catalogue.js';

/** {@link RepositoryStore} in memory. */
export class MemoryRepositoryStore extends RepositoryStore {
  readonly #catalogue: MemoryCatalogue;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
  }

  async enable(name: string, now: Date): Promise<Repository> {
    const known = this.#catalogue.repositories.get(name);
    if (known?.enabled === true) return repositoryOf(known);
    const backfill = { state: 'waiting', totalCount: 0, doneCount: 0 } as const;
    const enabled: MemoryRepository = { ...unclaimed(), name, enabled: true, changedAt: now, backfill };
    this.#catalogue.repositories.set(name, enabled);
    return repositoryOf(enabled);
  }

  async disable(name: string, now: Date): Promise<Repository | undefined> {
    const known = this.#catalogue.repositories.get(name);
    if (known === undefined) return undefined;
    if (known.enabled) {
      Object.assign(known, { ...unclaimed(), enabled: false, changedAt: now, backfill: { state: 'none', totalCount: 0, doneCount: 0 } });
    }
    return repositoryOf(known);
  }

  async get(name: string): Promise<Repository | undefined> {
    const known = this.#catalogue.repositories.get(name);
    return known === undefined ? undefined : repositoryOf(known);
  }

  async list(page: { readonly after?: string; readonly limit: number }): Promise<Repository[]> {
    return [...this.#catalogue.repositories.values()]
      .filter(({ name }) => name > (page.after ?? ''))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, page.limit)
      .map(repositoryOf);
  }
}

function repositoryOf({ name, enabled, changedAt, backfill, lastError }: MemoryRepository): Repository {
  return { name, enabled, changedAt, backfill: { ...backfill, ...(lastError === undefined ? {} : { lastError }) } };
}

/** {@link BackfillStore} in memory. */
export class MemoryBackfillStore extends BackfillStore {
  readonly #catalogue: MemoryCatalogue;
  readonly #claims: MemoryClaims<MemoryRepository, Backfill>;
  readonly work: MemoryWorkList<MemoryRepository>;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
    const isOpen = ({ backfill }: MemoryRepository): boolean => backfill.state === 'waiting' || backfill.state === 'listing';
    this.work = new MemoryWorkList({
      rows: () => catalogue.repositories.values(), isOpen, keyOf: ({ name }) => [name], orderOf: ({ changedAt, name }) => [changedAt.getTime(), name],
      subjectOf: ({ name }) => ({ repository: name }), wantedAt: ({ changedAt }) => changedAt,
    });
    this.#claims = new MemoryClaims({
      rows: () => catalogue.repositories.values(),
      isOpen,
      order: (a, b) => a.changedAt.getTime() - b.changedAt.getTime() || (a.name < b.name ? -1 : 1),
      item: ({ name }) => ({ repository: name }),
      begin: (row) => {
        row.backfill = { ...row.backfill, state: 'listing' };
      },
      giveBack: (row) => {
        row.backfill = { ...row.backfill, state: 'waiting' };
      },
    });
  }

  async claim(request: ClaimRequest): Promise<Claimed<Backfill>[]> {
    const claimed = await this.#claims.claim(request);
    for (const { claim } of claimed) {
      const row = this.#claims.held(claim.id);
      if (row !== undefined) row.backfill = { startedAt: request.now, ...row.backfill };
    }
    return claimed;
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

  async progress(claimId: string, counts: { readonly totalCount: number; readonly doneCount: number }): Promise<boolean> {
    const repository = this.#claims.held(claimId);
    if (repository !== undefined) repository.backfill = { ...repository.backfill, ...counts };
    return repository !== undefined;
  }

  async wantExaminations(claimId: string, references: readonly string[], now: Date): Promise<boolean> {
    const repository = this.#claims.held(claimId);
    if (repository === undefined) return false;
    for (const each of this.#catalogue.examinations.values()) if (each.item.repository === repository.name) each.backfill = false;
    references.forEach((reference, place) => this.#want(repository.name, reference, PUSH_PRIORITY - 1 - place, now));
    const ended = references.length === 0 ? { state: 'done' as const, finishedAt: now } : { state: 'examining' as const };
    repository.backfill = { ...repository.backfill, ...ended, totalCount: references.length, doneCount: 0 };
    Object.assign(repository, unclaimed());
    return true;
  }

  #want(repository: string, reference: string, priority: number, now: Date): void {
    const id = imageId(repository, reference);
    const known = this.#catalogue.examinations.get(id);
    if (known === undefined) {
      this.#catalogue.examinations.set(id, { ...unclaimed(), item: { repository, reference, generation: 1, priority }, wantedAt: now, backfill: true });
    } else {
      known.backfill = true;
      known.item = { ...known.item, generation: known.item.generation + 1 };
    }
  }

  async wantAgain(before: Date, limit: number): Promise<number> {
    const endedAt = ({ backfill }: MemoryRepository): number => backfill.finishedAt?.getTime() ?? 0;
    const due = [...this.#catalogue.repositories.values()]
      .filter((repository) => repository.enabled && repository.backfill.state === 'done' && endedAt(repository) < before.getTime())
      .toSorted((a, b) => endedAt(a) - endedAt(b))
      .slice(0, limit);
    for (const repository of due) Object.assign(repository, { ...unclaimed(), backfill: { state: 'waiting', totalCount: 0, doneCount: 0 } });
    return due.length;
  }
}
