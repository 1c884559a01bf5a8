import { DAY_MS, HOUR_MS } from '#quantities';

/** Demand is counted with three half-lives, the shortest first: what happens today, this week's habits, and what is lasting. */
export const HALF_LIVES_MS = [6 * HOUR_MS, 3 * DAY_MS, 14 * DAY_MS] as const;

/** Decayed counts of the same pulls by each of {@link HALF_LIVES_MS}, all worth what they are at the same instant; each >= 0. */
export type Weights = readonly [number, number, number];

/** The half-lives by their place. */
export type HalfLife = 0 | 1 | 2;
/** Every {@link HalfLife}, the shortest first. */
export const HALF_LIVES: readonly HalfLife[] = [0, 1, 2];
