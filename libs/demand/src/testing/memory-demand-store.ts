import type { RegionName } from '#regions';

import { add, decayTo, type DecayedCount, WEIGHT_MIN, weightAt } from '../decayed-count.js';
import {
  BATCH_AGE_MAX_MS, compareDemandKeys, type CountedDemand, type DemandBatch, demandKeyText, type DemandPage, type DemandQuery, type DemandSnapshot, DemandStore,
  type DemandStoreOptions, type MergeOutcome, SNAPSHOT_COUNTS_MAX,
} from '../demand-store.js';
import type { DemandKey } from '../observation.js';

/** Demand in memory: for tests, gone with the object. */
export class MemoryDemandStore extends DemandStore {
  readonly #halfLifeMs: number;
  readonly #counts = new Map<string, CountedDemand>();
  /** When each merged batch was closed. */
  readonly #batches = new Map<string, number>();

  constructor(options: DemandStoreOptions) {
    super();
    this.#halfLifeMs = options.halfLifeMs;
  }

  async merge(batch: DemandBatch, now: Date): Promise<MergeOutcome> {
    if (batch.drainedAt.getTime() < now.getTime() - BATCH_AGE_MAX_MS) return 'expired';
    if (this.#batches.has(batch.batchId)) return 'repeated';
    this.#batches.set(batch.batchId, Math.min(batch.drainedAt.getTime(), now.getTime()));
    for (const { region, repository, image, count } of batch.counts) {
      const key = { region, repository, image };
      const merged: DecayedCount = { weight: count.weight, at: count.at > now ? now : count.at };
      const stored = this.#counts.get(demandKeyText(key));
      this.#counts.set(demandKeyText(key), { ...key, count: stored === undefined ? merged : add(stored.count, merged, this.#halfLifeMs) });
    }
    return 'merged';
  }

  async weightOfImage(key: DemandKey, now: Date): Promise<number> {
    const counted = this.#counts.get(demandKeyText(key));
    return counted === undefined ? 0 : weightAt(counted.count, now, this.#halfLifeMs);
  }

  async weightOfRepository(region: RegionName, repository: string, now: Date): Promise<number> {
    return [...this.#counts.values()]
      .filter((counted) => counted.region === region && counted.repository === repository)
      .reduce((sum, counted) => sum + weightAt(counted.count, now, this.#halfLifeMs), 0);
  }

  async list(query: DemandQuery, now: Date): Promise<DemandPage> {
    const { region, repository, after, limit } = query;
    const counts = this.#at(now)
      .filter((counted) => (region === undefined || counted.region === region) && (repository === undefined || counted.repository === repository))
      .filter((counted) => after === undefined || compareDemandKeys(counted, after) > 0)
      .toSorted(compareDemandKeys)
      .slice(0, limit);
    const last = counts.at(-1);
    if (last === undefined || counts.length < limit) return { counts };
    return { counts, next: { region: last.region, repository: last.repository, image: last.image } };
  }

  async snapshot(now: Date): Promise<DemandSnapshot> {
    const counts = this.#at(now)
      .filter((counted) => counted.count.weight >= WEIGHT_MIN)
      .toSorted((a, b) => b.count.weight - a.count.weight || compareDemandKeys(a, b));
    return { at: now, counts: counts.slice(0, SNAPSHOT_COUNTS_MAX), truncated: counts.length > SNAPSHOT_COUNTS_MAX };
  }

  async prune(now: Date, limit: number): Promise<{ counts: number; batches: number }> {
    const worthless = [...this.#counts].filter(([, counted]) => weightAt(counted.count, now, this.#halfLifeMs) < WEIGHT_MIN).slice(0, limit);
    for (const [text] of worthless) this.#counts.delete(text);
    const old = [...this.#batches].filter(([, drainedAt]) => drainedAt < now.getTime() - 2 * BATCH_AGE_MAX_MS).slice(0, limit);
    for (const [id] of old) this.#batches.delete(id);
    return { counts: worthless.length, batches: old.length };
  }

  #at(now: Date): CountedDemand[] {
    return [...this.#counts.values()].map((counted) => ({ ...counted, count: decayTo(counted.count, now, this.#halfLifeMs) }));
  }
}
