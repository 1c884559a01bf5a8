import { randomUUID } from 'node:crypto';

import { MINUTE_MS } from '#quantities';

import { add, type DecayedCount, weightAt } from './decayed-count.js';
import { BATCH_COUNTS_MAX, type CountedDemand, type DemandBatch, demandKeyText } from './demand-store.js';
import type { DemandKey, Observation } from './observation.js';

/** Within this time of a counted pull, the same client pulling the same image in the same region is not counted again. */
export const REPEAT_WINDOW_MS = 10 * MINUTE_MS;
/** Pulls remembered to recognise repetitions: ten minutes at 160 a second. Beyond it the oldest are forgotten, and may be counted again. */
export const REMEMBERED_PULLS_MAX = 100_000;
/** When there are too many keys, one in this many goes at once, so that a flood of keys costs no sort for each. */
const OVERFLOW_SHARE = 10;

/** Bounds of a buffer. */
export interface ObservationBufferOptions {
  readonly halfLifeMs: number;
  /** Keys counted at a time; from 1. {@link BATCH_COUNTS_MAX} unless a test says otherwise. */
  readonly keysMax?: number;
  /** Pulls remembered at a time; from 1. {@link REMEMBERED_PULLS_MAX} unless a test says otherwise. */
  readonly rememberedMax?: number;
}

/** What became of an observation. */
export type ObservationOutcome = 'counted' | 'repeated';

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
  readonly #halfLifeMs: number;
  readonly #keysMax: number;
  readonly #rememberedMax: number;
  #counts = new Map<string, { readonly key: DemandKey; count: DecayedCount }>();
  /** When each client's pull was last counted, the longest ago counted first. */
  readonly #remembered = new Map<string, number>();
  #losses: BufferLosses = { keys: 0, weight: 0 };

  constructor(options: ObservationBufferOptions) {
    this.#halfLifeMs = options.halfLifeMs;
    this.#keysMax = Math.min(options.keysMax ?? BATCH_COUNTS_MAX, BATCH_COUNTS_MAX);
    this.#rememberedMax = options.rememberedMax ?? REMEMBERED_PULLS_MAX;
  }

  /** How many keys are counted at the moment. */
  get keyCount(): number {
    return this.#counts.size;
  }

  /** What was let go of so far. */
  get losses(): BufferLosses {
    return this.#losses;
  }

  /** Counts a pull, unless the same client's was counted within {@link REPEAT_WINDOW_MS}. One from the future is taken as of `now`. */
  observe(observation: Observation, now: Date): ObservationOutcome {
    const { region, repository, image, clientHash } = observation;
    const at = observation.at > now ? now : observation.at;
    const text = demandKeyText(observation);
    if (clientHash !== undefined && this.#isRepeated(`${text} ${clientHash}`, at.getTime())) return 'repeated';
    const one = { weight: 1, at };
    const counted = this.#counts.get(text);
    if (counted !== undefined) {
      counted.count = add(counted.count, one, this.#halfLifeMs);
    } else {
      if (this.#counts.size >= this.#keysMax) this.#dropLeast(now);
      this.#counts.set(text, { key: { region, repository, image }, count: one });
    }
    return 'counted';
  }

  /** Takes everything counted so far out, as one batch under a new id; undefined when there is nothing. */
  drain(now: Date): DemandBatch | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts: CountedDemand[] = [...this.#counts.values()].map(({ key, count }) => ({ ...key, count }));
    this.#counts = new Map();
    return { batchId: randomUUID(), drainedAt: now, counts };
  }

  #isRepeated(pull: string, atMs: number): boolean {
    const lastMs = this.#remembered.get(pull);
    // Telemetry may come in any order: what lies shortly before a counted pull repeats it just as well.
    if (lastMs !== undefined && Math.abs(atMs - lastMs) < REPEAT_WINDOW_MS) return true;
    this.#remembered.delete(pull);
    this.#remembered.set(pull, atMs);
    if (this.#remembered.size > this.#rememberedMax) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    return false;
  }

  #dropLeast(now: Date): void {
    const byWorth = [...this.#counts]
      .map(([text, { count }]) => ({ text, atMs: count.at.getTime(), worth: weightAt(count, now, this.#halfLifeMs) }))
      .toSorted((a, b) => a.worth - b.worth || a.atMs - b.atMs);
    const dropped = byWorth.slice(0, Math.max(1, Math.floor(this.#keysMax / OVERFLOW_SHARE)));
    let weight = 0;
    for (const { text, worth } of dropped) {
      this.#counts.delete(text);
      weight += worth;
    }
    this.#losses = { keys: this.#losses.keys + dropped.length, weight: this.#losses.weight + weight };
  }
}
