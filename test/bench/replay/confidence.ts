/** Quantiles of Student's distribution for two-sided 95 %, by degrees of freedom from 1. */
const T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086];

/** A mean, and how far off it may be. */
export interface Estimate {
  readonly mean: number;
  /** Half of the 95 % interval; 0 of one value alone, of which nothing can be said. */
  readonly within: number;
}

/** The mean of independent runs, with its 95 % interval. */
export function estimate(values: readonly number[]): Estimate {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  if (values.length < 2) return { mean, within: 0 };
  const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (values.length - 1);
  return { mean, within: (T_95[values.length - 2] ?? 1.96) * Math.sqrt(variance / values.length) };
}
