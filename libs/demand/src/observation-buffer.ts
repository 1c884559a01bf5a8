import { randomUUID } from 'node:crypto';

import { ClientLimits, type PullVerdict } from './client-limits.js';
import { addCounts, weightsAt } from './decayed-counts.js';
import { DemandKeyMap } from './demand-key-map.js';
import { BATCH_COUNTS_MAX, type CountedDemand, type DemandBatch } from './demand-store.js';
import type { DemandKey, Observation } from './observation.js';
import { RunningCounts } from './running-counts.js';

/** When there are too many keys, one in this many goes at once, so that a flood of keys costs no sort for each. */
const OVERFLOW_SHARE = 10;

/** Bounds of a buffer. */
export interface ObservationBufferOptions {
  /** Keys counted at a time; from 1. {@link BATCH_COUNTS_MAX} unless a test says otherwise. */
  readonly keysMax?: number;
  /** As {@link ClientLimits} has it. */
  readonly rememberedMax?: number;
}

/** What a buffer had to let go of, since it was made. */
export interface BufferLosses {
  /** Keys that were dropped because there were too many. */
  readonly keys: number;
  /** What they were worth, in pulls. */
  readonly weight: number;
}

/**
 * Counts pulls in memory between two merges. Bounded in keys and in remembered clients: when full, the least demanded keys go first, the
 * oldest among equals, and what they were worth is counted; so a flood of keys never pushes out what is really wanted. Never waits, never throws.
 */
export class ObservationBuffer {
  readonly #keysMax: number;
  readonly #clients: ClientLimits;
  #counts = new DemandKeyMap<RunningCounts>();
  #losses: BufferLosses = { keys: 0, weight: 0 };

  constructor(options: ObservationBufferOptions = {}) {
    this.#keysMax = Math.min(options.keysMax ?? BATCH_COUNTS_MAX, BATCH_COUNTS_MAX);
    this.#clients = new ClientLimits(options.rememberedMax);
  }

  /** How many keys are counted at the moment. */
  get keyCount(): number {
    return this.#counts.size;
  }

  /** What was let go of so far. */
  get losses(): BufferLosses {
    return this.#losses;
  }

  /** Counts a pull, unless {@link ClientLimits} leaves it out. One from the future is taken as of `now`. */
  observe(observation: Observation, now: Date): PullVerdict {
    const at = observation.at > now ? now : observation.at;
    const verdict = this.#clients.take(observation, at.getTime());
    if (verdict === 'counted') this.#add(observation, { pulls: 1, atMs: at.getTime() }, now);
    // Counts add up, so that one less is as good as never counted, merged by now or not.
    for (const { key, atMs } of this.#clients.takenBack()) this.#add(key, { pulls: -1, atMs }, now);
    return verdict;
  }

  /** Takes everything counted so far out, as one batch under a new id; undefined when there is nothing. */
  drain(now: Date): DemandBatch | undefined {
    if (this.#counts.size === 0) return undefined;
    const batch = { batchId: randomUUID(), drainedAt: now, counts: this.#counts.values().map((running) => running.counts()) };
    this.#counts = new DemandKeyMap();
    return batch;
  }

  #add(key: DemandKey, { pulls, atMs }: { readonly pulls: number; readonly atMs: number }, now: Date): void {
    let running = this.#counts.get(key);
    if (running === undefined) {
      if (this.#counts.size >= this.#keysMax) this.#dropLeast(now);
      running = new RunningCounts(key, atMs);
      this.#counts.add(running.key, running);
    }
    running.add(pulls, atMs);
  }

  #dropLeast(now: Date): void {
    const byWorth = this.#counts.values()
      .map((running) => ({ key: running.key, atMs: running.atMs, worth: weightsAt(running.counts(), now)[1] }))
      .toSorted((a, b) => a.worth - b.worth || a.atMs - b.atMs);
    const dropped = byWorth.slice(0, Math.max(1, Math.floor(this.#keysMax / OVERFLOW_SHARE)));
    let weight = 0;
    for (const { key, worth } of dropped) {
      this.#counts.delete(key);
      weight += worth;
    }
    this.#losses = { keys: this.#losses.keys + dropped.length, weight: this.#losses.weight + weight };
  }
}

/** The counts of one key together. */
export function addDemand(a: CountedDemand, b: CountedDemand): CountedDemand {
  const { region, repository, image } = a;
  return { region, repository, image, ...addCounts(a, b) };
}
