import { HALF_LIVES, type HalfLife } from './half-lives.js';

/** Each day counts this much less than the one after it in what is known of errors. */
const KEPT = 0.9;
/** How sharply a half-life that errs more than the best is passed over. */
const SHARPNESS = 10;
/** How much a day on which the interval covered too little or too much moves its bounds. */
const STEP = 0.6;
/** What each bound should leave out. */
const TAIL = 0.05;
/** So many pulls stand for the first guess of what pulls elsewhere are worth. */
const ELSEWHERE_PULLS = 20;
const ELSEWHERE_FIRST = 0.15;
/** Fewer images tell nothing of intervals. */
const SAMPLE_MIN = 20;
/** Squares of a normal variable: their median, against their mean of 1. */
const MEDIAN_OF_SQUARES = 0.455;

/** By how many deviations a normal variable is above what it is above once in twenty times. */
const NORMAL_BOUND = 1.645;
/** The least that a deviation is worked out for: of next to nothing expected, chance is not nothing. */
const EXPECTED_MIN = 0.5;
/** What is expected by pulls elsewhere alone is known no better than from so many pulls. */
const ELSEWHERE_KNOWN_PULLS = 2;

/** What is known of a region's forecasts, for keeping it. */
export interface CalibrationState {
  /** Mean relative error of each half-life's forecasts of a day, decayed; empty before the first. */
  readonly errors: readonly number[];
  readonly low: number;
  readonly high: number;
  readonly perPull: number;
  readonly common: number;
  readonly elsewhereSeen: number;
  readonly elsewhereForetold: number;
}

const FIRST: CalibrationState = { errors: [], low: NORMAL_BOUND, high: NORMAL_BOUND, perPull: 1.5, common: 0.02, elsewhereSeen: ELSEWHERE_FIRST * ELSEWHERE_PULLS, elsewhereForetold: ELSEWHERE_PULLS };

/** One image's day: what each half-life foretold, what the forecast was, and what came; in pulls. */
export interface ForetoldDay {
  readonly byHalfLife: readonly number[];
  readonly expected: number;
  readonly came: number;
}

/** Learns from a region's days how far its forecasts can be trusted: which half-life foretells best, how wide the interval has to be, and what pulls in other regions are worth here. */
export class Calibration {
  #state: CalibrationState;

  constructor(state: CalibrationState = FIRST) {
    this.#state = state;
  }

  get state(): CalibrationState {
    return this.#state;
  }

  /** How much each half-life counts; they sum to 1. */
  get mix(): readonly number[] {
    const { errors } = this.#state;
    if (errors.length === 0) return HALF_LIVES.map(() => 1 / HALF_LIVES.length);
    const best = Math.max(1e-9, Math.min(...errors));
    const worth = errors.map((error) => Math.exp(-SHARPNESS * (error / best - 1)));
    const sum = worth.reduce((total, each) => total + each, 0);
    return worth.map((each) => each / sum);
  }

  /** What pulls elsewhere count for, at this region's volume; 0 to 1. */
  get elsewhereRatio(): number {
    return Math.min(1, this.#state.elsewhereSeen / this.#state.elsewhereForetold);
  }

  /** How far what comes is from what is expected, as a standard deviation in pulls. A part grows with the root of the pulls, and a part, common to the whole region, with the pulls. */
  deviation(expected: number): number {
    return Math.sqrt(this.#state.perPull * Math.max(expected, EXPECTED_MIN) + this.#state.common * expected ** 2);
  }

  /**
   * How far what came is off what was expected: the one measure of surprise. Fewer pulls are held against the deviation of what was expected, more of them step by step against the deviation of what
   * they have come to, so that a few more than next to none are none; where the interval had to be wider than chance would have it, so are these steps. Whatever lies within the interval is
   * {@link NORMAL_BOUND} deviations off at most.
   * @param elsewhere the part of what was expected that rests on pulls in other regions alone, which is a guess: a region of which nothing else is known surprises nobody by pulling nothing.
   */
  deviations(expected: number, came: number, elsewhere = 0): number {
    const { perPull, common, low, high } = this.#state;
    const guess = elsewhere ** 2 / ELSEWHERE_KNOWN_PULLS;
    const width = (bound: number): number => Math.max(1, bound / NORMAL_BOUND);
    if (came <= expected) return (came - expected) / (Math.hypot(this.deviation(expected), Math.sqrt(guess)) * width(low));
    const least = Math.min(came, Math.max(expected, EXPECTED_MIN));
    const belowLeast = (least - expected) / Math.hypot(this.deviation(0), Math.sqrt(guess));
    // The integral of 1 over the deviation, from what was expected to what came.
    const until = (pulls: number): number => Math.log(2 * Math.sqrt(common * (common * pulls ** 2 + perPull * pulls + guess)) + 2 * common * pulls + perPull) / Math.sqrt(common);
    return (belowLeast + until(came) - until(least)) / width(high);
  }

  /** The bounds between which nine of ten days come to lie. */
  interval(expected: number): { readonly low: number; readonly high: number } {
    const deviation = this.deviation(expected);
    return { low: Math.max(0, expected - this.#state.low * deviation), high: expected + this.#state.high * deviation };
  }

  /** Learns from a day of this region. */
  learn(days: readonly ForetoldDay[]): void {
    const came = days.reduce((sum, day) => sum + day.came, 0);
    if (came === 0) return;
    const errors = HALF_LIVES.map((halfLife: HalfLife) => days.reduce((sum, day) => sum + Math.abs(day.byHalfLife[halfLife]! - day.came), 0) / came);
    const before = this.#state.errors;
    this.#state = { ...this.#state, errors: before.length === 0 ? errors : before.map((error, n) => KEPT * error + (1 - KEPT) * errors[n]!) };
    // An image of which less than a pull is expected tells only whether it came.
    const telling = days.filter((day) => day.expected >= 1);
    if (telling.length >= SAMPLE_MIN) this.#state = { ...this.#state, ...this.#bounds(telling) };
  }

  /** Learns what became of images that nobody here had pulled, but others had. */
  learnElsewhere(foretold: number, came: number): void {
    const { elsewhereForetold, elsewhereSeen } = this.#state;
    // What was known before counts less with every day, down to the first guess.
    const kept = 1 - (1 - KEPT) / 4;
    const decayed = (value: number, first: number): number => first + (value - first) * kept;
    this.#state = {
      ...this.#state,
      elsewhereForetold: decayed(elsewhereForetold, ELSEWHERE_PULLS) + foretold,
      elsewhereSeen: decayed(elsewhereSeen, ELSEWHERE_FIRST * ELSEWHERE_PULLS) + came,
    };
  }

  #bounds(days: readonly ForetoldDay[]): Partial<CalibrationState> {
    const { low, high, perPull, common } = this.#state;
    const below = days.filter(({ expected, came }) => came < expected - low * this.deviation(expected)).length / days.length;
    const above = days.filter(({ expected, came }) => came > expected + high * this.deviation(expected)).length / days.length;
    const [few, many] = halves(days);
    const commonNow = medianOf(many.map(({ expected, came }) => ((came - expected) / expected) ** 2)) / MEDIAN_OF_SQUARES;
    const perPullNow = medianOf(few.map(({ expected, came }) => ((came - expected) ** 2 - common * expected ** 2) / expected)) / MEDIAN_OF_SQUARES;
    return {
      low: clamp(low * (1 + STEP * (below - TAIL)), 0.3, 20),
      high: clamp(high * (1 + STEP * (above - TAIL)), 0.3, 20),
      common: clamp(KEPT * common + (1 - KEPT) * commonNow, 0.0004, 4),
      perPull: clamp(KEPT * perPull + (1 - KEPT) * perPullNow, 0.5, 1000),
    };
  }
}

/** The less and the more expected ones. */
function halves(days: readonly ForetoldDay[]): readonly [ForetoldDay[], ForetoldDay[]] {
  const sorted = days.toSorted((a, b) => a.expected - b.expected);
  return [sorted.slice(0, Math.ceil(sorted.length / 2)), sorted.slice(Math.floor(sorted.length / 2))];
}

function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
