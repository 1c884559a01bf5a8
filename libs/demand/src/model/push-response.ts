import { DAY_MS, MINUTE_MS } from '#quantities';
import type { RegionName } from '#regions';

/** A push is followed for so long. */
export const RESPONSE_MS = DAY_MS;
/** Each push counts this much less than the one after it. */
const KEPT = 0.9;
/** So many pushes, as is usual in the region, stand for what is not known of a repository. */
const PRIOR_PUSHES = 2;
/** Bins of delays: below 1, 2, 4 … 1024 minutes, and the rest of the day. */
const DELAY_BINS = 12;
/** Pairs of a region and a repository that are kept; beyond it those of longest ago go. */
export const RESPONSES_MAX = 100_000;

/** What is known of pushes, for keeping it. */
export interface PushResponseState {
  /** By `region repository`: pushes that were pulled within a day, pushes that were not, both decayed. The latest last. */
  readonly pushes: readonly (readonly [string, number, number])[];
  /** By region: pulled, not pulled, and how many first pulls came within each bin of delays. */
  readonly regions: readonly (readonly [RegionName, number, number, readonly number[]])[];
}

interface RegionResponse {
  pulled: number;
  unpulled: number;
  readonly delays: number[];
}

/** How likely the newest image of a repository is pulled in a region within a day after its push, and how soon. */
export class PushResponse {
  readonly #pushes: Map<string, { pulled: number; unpulled: number }>;
  readonly #regions: Map<RegionName, RegionResponse>;

  constructor(state?: PushResponseState) {
    this.#pushes = new Map((state?.pushes ?? []).map(([key, pulled, unpulled]) => [key, { pulled, unpulled }]));
    this.#regions = new Map((state?.regions ?? []).map(([name, pulled, unpulled, delays]) => [name, { pulled, unpulled, delays: [...delays] }]));
  }

  get state(): PushResponseState {
    return {
      pushes: [...this.#pushes].map(([key, { pulled, unpulled }]) => [key, pulled, unpulled]),
      regions: [...this.#regions].map(([name, { pulled, unpulled, delays }]) => [name, pulled, unpulled, delays]),
    };
  }

  /** Learns what became of a push. @param delayMs when it was first pulled in the region, at most {@link RESPONSE_MS}; undefined when it was not. */
  learn(region: RegionName, repository: string, delayMs: number | undefined): void {
    const key = `${region} ${repository}`;
    const known = this.#pushes.get(key) ?? { pulled: 0, unpulled: 0 };
    const of = this.#regionOf(region);
    const [pulled, unpulled] = delayMs === undefined ? [0, 1] : [1, 0];
    this.#pushes.delete(key);
    this.#pushes.set(key, { pulled: known.pulled * KEPT + pulled, unpulled: known.unpulled * KEPT + unpulled });
    of.pulled += pulled;
    of.unpulled += unpulled;
    if (delayMs !== undefined) {
      const bin = binOf(delayMs);
      of.delays[bin] = of.delays[bin]! + 1;
    }
    if (this.#pushes.size > RESPONSES_MAX) this.#pushes.delete(this.#pushes.keys().next().value as string);
  }

  /**
   * The probability that an image, which nobody has pulled in the region since its push, is still pulled within its first day.
   * @param ageMs since the push. @returns undefined when nothing is known of pushes of this repository here, or the day is over.
   */
  probability(region: RegionName, repository: string, ageMs: number): number | undefined {
    const known = this.#pushes.get(`${region} ${repository}`);
    if (known === undefined || ageMs >= RESPONSE_MS) return undefined;
    const of = this.#regionOf(region);
    const usual = (of.pulled + 1) / (of.pulled + of.unpulled + 2);
    const whole = (known.pulled + PRIOR_PUSHES * usual) / (known.pulled + known.unpulled + PRIOR_PUSHES);
    const still = 1 - this.#cameWithin(of, ageMs);
    return (whole * still) / (1 - whole * (1 - still));
  }

  /** By when the first pull has come of such a part of the pushes that are pulled at all, in milliseconds after the push: the upper end of a bin. Undefined before anything is known. */
  delayMs(region: RegionName, part: number): number | undefined {
    const delays = this.#regions.get(region)?.delays;
    const total = delays?.reduce((sum, count) => sum + count, 0) ?? 0;
    if (delays === undefined || total === 0) return undefined;
    let sum = 0;
    for (const [bin, count] of delays.entries()) {
      sum += count;
      if (sum >= part * total) return Math.min(RESPONSE_MS, MINUTE_MS * 2 ** bin);
    }
    return RESPONSE_MS;
  }

  #cameWithin({ delays }: RegionResponse, ageMs: number): number {
    const total = delays.reduce((sum, count) => sum + count, 0);
    if (total === 0) return 0;
    const bin = binOf(ageMs);
    const whole = delays.slice(0, bin).reduce((sum, count) => sum + count, 0);
    const fromMs = bin === 0 ? 0 : MINUTE_MS * 2 ** (bin - 1);
    const toMs = Math.min(RESPONSE_MS, MINUTE_MS * 2 ** bin);
    return Math.min(1, (whole + delays[bin]! * ((ageMs - fromMs) / (toMs - fromMs))) / total);
  }

  #regionOf(region: RegionName): RegionResponse {
    let known = this.#regions.get(region);
    if (known === undefined) this.#regions.set(region, (known = { pulled: 0, unpulled: 0, delays: Array.from({ length: DELAY_BINS }, () => 0) }));
    return known;
  }
}

function binOf(ms: number): number {
  return Math.min(DELAY_BINS - 1, Math.max(0, Math.ceil(Math.log2(Math.max(ms, 1) / MINUTE_MS))));
}
