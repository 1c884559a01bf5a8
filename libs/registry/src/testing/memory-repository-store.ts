import type { Claimed, ClaimRequest } from '#claims';

import { PUSH_PRIORITY } from '../examination-store.js';
import { type Backfill, BackfillStore, type Repository, RepositoryStore } from '../repository-store.js';
import { imageId, MemoryCatalogue, type MemoryRepository } from './memory-catalogue.js';
import { claimWork, giveBackWork, memoryWork, renewWork } from './memory-claims.js';

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
    const enabled: MemoryRepository = { name, enabled: true, changedAt: now, backfill, work: memoryWork({ repository: name }) };
    this.#catalogue.repositories.set(name, enabled);
    return repositoryOf(enabled);
  }

  async disable(name: string, now: Date): Promise<Repository | undefined> {
    const known = this.#catalogue.repositories.get(name);
    if (known === undefined) return undefined;
    if (known.enabled) {
      Object.assign(known, { enabled: false, changedAt: now, backfill: { state: 'none', totalCount: 0, doneCount: 0 }, work: memoryWork({ repository: name }) });
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

function repositoryOf({ name, enabled, changedAt, backfill, work }: MemoryRepository): Repository {
  return { name, enabled, changedAt, backfill: { ...backfill, ...(work.lastError === undefined ? {} : { lastError: work.lastError }) } };
}

/** {@link BackfillStore} in memory. */
export class MemoryBackfillStore extends BackfillStore {
  readonly #catalogue: MemoryCatalogue;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
  }

  async claim(request: ClaimRequest): Promise<Claimed<Backfill>[]> {
    const open = [...this.#catalogue.repositories.values()].filter(({ backfill }) => backfill.state === 'waiting' || backfill.state === 'listing');
    const sorted = open.toSorted((a, b) => a.changedAt.getTime() - b.changedAt.getTime() || (a.name < b.name ? -1 : 1));
    const claimed = claimWork(sorted.map(({ work }) => work), request);
    for (const { claim } of claimed) {
      const repository = this.#claimed(claim.id);
      if (repository !== undefined) repository.backfill = { startedAt: request.now, ...repository.backfill, state: 'listing' };
    }
    return claimed;
  }

  async renew(claimIds: readonly string[], expiresAt: Date): Promise<Set<string>> {
    return renewWork([...this.#catalogue.repositories.values()].map(({ work }) => work), claimIds, expiresAt);
  }

  async release(claimId: string): Promise<boolean> {
    return this.#giveBack(claimId);
  }

  async postpone(claimId: string, notBefore: Date, reason: string): Promise<boolean> {
    return this.#giveBack(claimId, { notBefore, reason });
  }

  async progress(claimId: string, counts: { readonly totalCount: number; readonly doneCount: number }): Promise<boolean> {
    const repository = this.#claimed(claimId);
    if (repository !== undefined) repository.backfill = { ...repository.backfill, ...counts };
    return repository !== undefined;
  }

  async wantExaminations(claimId: string, references: readonly string[], now: Date): Promise<boolean> {
    const repository = this.#claimed(claimId);
    if (repository === undefined) return false;
    for (const each of this.#catalogue.examinations.values()) if (each.item.repository === repository.name) each.backfill = false;
    references.forEach((reference, place) => this.#want(repository.name, reference, PUSH_PRIORITY - 1 - place, now));
    const ended = references.length === 0 ? { state: 'done' as const, finishedAt: now } : { state: 'examining' as const };
    repository.backfill = { ...repository.backfill, ...ended, totalCount: references.length, doneCount: 0 };
    repository.work = memoryWork(repository.work.item);
    return true;
  }

  #want(repository: string, reference: string, priority: number, now: Date): void {
    const id = imageId(repository, reference);
    const known = this.#catalogue.examinations.get(id);
    if (known === undefined) {
      this.#catalogue.examinations.set(id, { ...memoryWork({ repository, reference, generation: 1, priority }), wantedAt: now, backfill: true });
    } else {
      known.backfill = true;
      known.item = { ...known.item, generation: known.item.generation + 1 };
    }
  }

  #claimed(claimId: string): MemoryRepository | undefined {
    return [...this.#catalogue.repositories.values()].find(({ work }) => work.claim?.id === claimId);
  }

  #giveBack(claimId: string, retry?: { readonly notBefore: Date; readonly reason: string }): boolean {
    const repository = this.#claimed(claimId);
    if (repository !== undefined) repository.backfill = { ...repository.backfill, state: 'waiting' };
    return giveBackWork(repository?.work, retry);
  }
}
