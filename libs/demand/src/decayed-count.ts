import { DAY_MS } from '#quantities';

/**
 * A count that halves with every half-life: forward decay with an exponential weight (Cormode et al., ICDE 2009). It is kept as its worth at
 * one instant; the instant is only a way of writing it down. Counts of the same half-life add up in any order to the same count.
 */
export interface DecayedCount {
  /** What the count is worth at `at`; >= 0. One event is worth 1 at its own instant. */
  readonly weight: number;
  readonly at: Date;
}

/** The half-life where none is configured: three days keep a week's rhythm and forget a launch. */
export const HALF_LIFE_DEFAULT_MS = 3 * DAY_MS;

/** A count of less is no demand any more: a thousandth of one pull. */
export const WEIGHT_MIN = 0.001;

/** Halvings beyond this make no number any more that a database takes; a count so old is nothing. */
export const HALVINGS_MAX = 500;

/** The same count, written down at another instant: earlier or later. */
export function decayTo(count: DecayedCount, at: Date, halfLifeMs: number): DecayedCount {
  return { weight: weightAt(count, at, halfLifeMs), at };
}

/** What a count is worth at an instant. Before the count's own instant that is more than its weight, by the same curve. */
export function weightAt(count: DecayedCount, at: Date, halfLifeMs: number): number {
  const halvings = (at.getTime() - count.at.getTime()) / halfLifeMs;
  return count.weight * 2 ** -Math.max(-HALVINGS_MAX, Math.min(HALVINGS_MAX, halvings));
}

/** Both counts together, at the later of their instants, so that no weight ever grows. */
export function add(a: DecayedCount, b: DecayedCount, halfLifeMs: number): DecayedCount {
  const at = a.at > b.at ? a.at : b.at;
  return { weight: weightAt(a, at, halfLifeMs) + weightAt(b, at, halfLifeMs), at };
}
