import { HALF_LIVES_MS, type HalfLife, type Weights } from './model/half-lives.js';

/**
 * The same pulls counted with every one of `HALF_LIVES_MS`: forward decay with exponential weights (Cormode et al., ICDE 2009). Counts are kept as their worth at one instant; the instant is
 * only a way of writing them down. They add up in any order to the same counts.
 */
export interface DecayedCounts {
  /** What the counts are worth at `at`. One pull is worth 1 in each at its own instant. */
  readonly weights: Weights;
  readonly at: Date;
}

/** A count of less is no demand any more: a thousandth of one pull. */
export const WEIGHT_MIN = 0.001;

/** Halvings beyond this make no number any more that a database takes; a count so old is nothing. */
export const HALVINGS_MAX = 500;

/** What counts are worth at an instant. Before their own instant that is more than their weights, by the same curve. */
export function weightsAt({ weights, at }: DecayedCounts, instant: Date): Weights {
  const ageMs = instant.getTime() - at.getTime();
  const kept = (halfLife: HalfLife): number => weights[halfLife] * keptAfter(ageMs, HALF_LIVES_MS[halfLife]);
  return [kept(0), kept(1), kept(2)];
}

/** Both together, at the later of their instants, so that no weight ever grows. */
export function addCounts(a: DecayedCounts, b: DecayedCounts): DecayedCounts {
  const at = a.at > b.at ? a.at : b.at;
  const [ours, theirs] = [weightsAt(a, at), weightsAt(b, at)];
  return { weights: [ours[0] + theirs[0], ours[1] + theirs[1], ours[2] + theirs[2]], at };
}

/** The part of a weight that is left after a time; more than all of it for a time below 0. Always a number above 0. */
export function keptAfter(ageMs: number, halfLifeMs: number): number {
  return 2 ** -Math.max(-HALVINGS_MAX, Math.min(HALVINGS_MAX, ageMs / halfLifeMs));
}
