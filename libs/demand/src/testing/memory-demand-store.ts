import type { RegionName } from '#regions';

import { WEIGHT_MIN, weightsAt } from '../decayed-counts.js';
import {
  BATCH_AGE_MAX_MS, compareDemandKeys, type CountedDemand, type DemandBatch, demandKeyText, type DemandPage, type DemandQuery, type DemandSnapshot, DemandStore, type DemandStoreOptions,
  FORETOLD_VERSION, type MergeOutcome, MODEL_AHEAD_MAX_MS, MODEL_VERSION, type PrunedDemand, REGION_COUNTS_MAX, SNAPSHOT_COUNTS_MAX,
} from '../demand-store.js';
import type { DayAheadState } from '../model/day-ahead.js';
import { type DemandModelState } from '../model/demand-model.js';
import type { Weights } from '../model/half-lives.js';
import type { DemandKey } from '../observation.js';
import { addDemand } from '../observation-buffer.js';

/** Demand in memory: for tests, gone with the object. */
export class MemoryDemandStore extends DemandStore {
  readonly #regionCountsMax: number;
  readonly #counts = new Map<string, CountedDemand>();
  /** When each merged batch was closed. */
  readonly #batches = new Map<string, number>();
  #model: DemandModelState | undefined;
  #foretold: DayAheadState | undefined;

  constructor({ regionCountsMax = REGION_COUNTS_MAX }: DemandStoreOptions = {}) {
    super();
    this.#regionCountsMax = regionCountsMax;
  }

  async merge(batch: DemandBatch, now: Date): Promise<MergeOutcome> {
    if (batch.drainedAt.getTime() < now.getTime() - BATCH_AGE_MAX_MS) return 'expired';
    if (this.#batches.has(batch.batchId)) return 'repeated';
    this.#batches.set(batch.batchId, Math.min(batch.drainedAt.getTime(), now.getTime()));
    for (const given of batch.counts) {
      const counted = given.at > now ? { ...given, at: now } : given;
      const stored = this.#counts.get(demandKeyText(counted));
      this.#counts.set(demandKeyText(counted), stored === undefined ? counted : addDemand(stored, counted));
    }
    return 'merged';
  }

  async weightsOfImage(key: DemandKey, now: Date): Promise<Weights> {
    const counted = this.#counts.get(demandKeyText(key));
    return counted === undefined ? [0, 0, 0] : weightsAt(counted, now);
  }

  async weightsOfRepository(region: RegionName, repository: string, now: Date): Promise<Weights> {
    const sum: [number, number, number] = [0, 0, 0];
    for (const counted of this.#counts.values()) {
      if (counted.region !== region || counted.repository !== repository) continue;
      for (const [n, weight] of weightsAt(counted, now).entries()) sum[n]! += weight;
    }
    return sum;
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
    const counts = this.#at(now).filter((counted) => counted.weights[2] >= WEIGHT_MIN).toSorted(mostDemandedFirst);
    return { at: now, counts: counts.slice(0, SNAPSHOT_COUNTS_MAX), truncated: counts.length > SNAPSHOT_COUNTS_MAX };
  }

  async model(now: Date): Promise<DemandModelState | undefined> {
    const kept = this.#model;
    return kept?.version === MODEL_VERSION && kept.learnedMs <= now.getTime() + MODEL_AHEAD_MAX_MS ? structuredClone(kept) : undefined;
  }

  async keepModel(state: DemandModelState, now: Date): Promise<boolean> {
    const keptMs = this.#model?.learnedMs ?? Number.NEGATIVE_INFINITY;
    if (keptMs > state.learnedMs && keptMs <= now.getTime() + MODEL_AHEAD_MAX_MS) return false;
    this.#model = structuredClone(state);
    return true;
  }

  async foretold(now: Date): Promise<DayAheadState | undefined> {
    const kept = this.#foretold;
    return kept?.version === FORETOLD_VERSION && kept.atMs <= now.getTime() + MODEL_AHEAD_MAX_MS ? structuredClone(kept) : undefined;
  }

  async keepForetold(state: DayAheadState, now: Date): Promise<boolean> {
    const keptMs = this.#foretold?.atMs ?? Number.NEGATIVE_INFINITY;
    if (keptMs > state.atMs && keptMs <= now.getTime() + MODEL_AHEAD_MAX_MS) return false;
    this.#foretold = structuredClone(state);
    return true;
  }

  async prune(now: Date, limit: number): Promise<PrunedDemand> {
    const all = this.#at(now);
    const crowding = [...Map.groupBy(all, ({ region }) => region).values()].flatMap((ofRegion) => ofRegion.toSorted(mostDemandedFirst).slice(this.#regionCountsMax));
    const worthless = all.filter((counted) => counted.weights[2] < WEIGHT_MIN);
    const forgotten = [...new Set([...worthless, ...crowding].map(demandKeyText))].slice(0, limit);
    for (const text of forgotten) this.#counts.delete(text);
    const old = [...this.#batches].filter(([, drainedAt]) => drainedAt < now.getTime() - 2 * BATCH_AGE_MAX_MS).slice(0, limit);
    for (const [id] of old) this.#batches.delete(id);
    return { counts: forgotten.length, batches: old.length };
  }

  #at(now: Date): CountedDemand[] {
    return [...this.#counts.values()].map((counted) => ({ ...counted, weights: weightsAt(counted, now), at: now }));
  }
}

function mostDemandedFirst(a: CountedDemand, b: CountedDemand): number {
  return b.weights[2] - a.weights[2] || compareDemandKeys(a, b);
}
