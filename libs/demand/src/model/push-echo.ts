import { DAY_MS, HOUR_MS } from '#quantities';

/** Ends of the spans after a push that are told apart, in milliseconds; what comes later is no echo. */
const SPAN_ENDS_MS = [HOUR_MS / 2, 2 * HOUR_MS, 6 * HOUR_MS, DAY_MS] as const;
/** How long a push is heard. */
export const ECHO_MS: number = SPAN_ENDS_MS[3];
/** Of what was learned, half counts no more after so long. */
const HALF_LIFE_MS = 28 * DAY_MS;
/** So many hours of a repository's pulls without any echo stand for what is not known yet. */
const PRIOR_HOURS = 20;

/** What is known of echoes, for keeping it: for each span, pulls beyond the usual and the hours at the repositories' rates, both decayed, weighed by these rates. */
export interface PushEchoState {
  readonly extra: readonly number[];
  readonly hours: readonly number[];
}

/** A push, as it is learned from. */
export interface HeardPush {
  /** How old the image was at the beginning and at the end of the time that is learned from. >= 0. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Pulls of the image within that time, in all regions. */
  readonly came: number;
  /** Pulls an hour of its repository, in all regions. > 0. */
  readonly rate: number;
  /** Which part of these is usual for an image of its age. */
  readonly share: number;
}

/**
 * How many pulls a push brings at once, beyond what an image of its age gets anyway: whoever deploys what is new does it once. Learned for all repositories together, as a multiple of what each is
 * pulled in all. Without it, the pulls of the first hours would be taken for the habit of weeks.
 */
export class PushEcho {
  #extra: number[];
  #hours: number[];

  constructor(state?: PushEchoState) {
    this.#extra = [...(state?.extra ?? SPAN_ENDS_MS.map(() => 0))];
    this.#hours = [...(state?.hours ?? SPAN_ENDS_MS.map(() => 0))];
  }

  get state(): PushEchoState {
    return { extra: this.#extra, hours: this.#hours };
  }

  /** Lets what was learned so far count less. */
  pass(ms: number): void {
    const kept = 2 ** (-ms / HALF_LIFE_MS);
    this.#extra = this.#extra.map((pulls) => pulls * kept);
    this.#hours = this.#hours.map((hours) => hours * kept);
  }

  /** Which part of the pulls that an image gets between two ages is no echo, where a part `share` of its repository's pulls is usual for it; 0 to 1. */
  steadyPart({ fromMs, toMs, share }: Pick<HeardPush, 'fromMs' | 'toMs' | 'share'>): number {
    const echo = this.hoursBetween(fromMs, toMs);
    const steady = (share * (toMs - fromMs)) / HOUR_MS;
    return echo === 0 ? 1 : steady / (steady + echo);
  }

  /** Learns from one image's pulls; they are laid to the spans as they are expected there. */
  learn({ fromMs, toMs, came, rate, share }: HeardPush): void {
    const spans = SPAN_ENDS_MS.map((endMs, n) => Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, n === 0 ? 0 : SPAN_ENDS_MS[n - 1]!)) / HOUR_MS);
    const late = Math.max(0, toMs - Math.max(fromMs, ECHO_MS)) / HOUR_MS;
    const expected = spans.map((hours, n) => hours * (share + this.#density(n)));
    const all = expected.reduce((sum, each) => sum + each, late * share);
    if (all <= 0) return;
    for (const [n, hours] of spans.entries()) {
      if (hours === 0) continue;
      this.#extra[n] = this.#extra[n]! + (came * expected[n]!) / all - rate * share * hours;
      this.#hours[n] = this.#hours[n]! + rate * hours;
    }
  }

  /** What an image gets of the echo of its push between two ages, in hours of its repository's pulls. */
  hoursBetween(fromMs: number, toMs: number): number {
    let hours = 0;
    this.each((beginMs, endMs, density) => {
      hours += (density * Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, beginMs))) / HOUR_MS;
    });
    return hours;
  }

  /** Calls `visit` for each span after a push that has an echo: its ends, in milliseconds, and how many pulls come in it for each of the repository's. */
  each(visit: (fromMs: number, toMs: number, density: number) => void): void {
    for (const [n, endMs] of SPAN_ENDS_MS.entries()) {
      const density = this.#density(n);
      if (density > 0) visit(n === 0 ? 0 : SPAN_ENDS_MS[n - 1]!, endMs, density);
    }
  }

  #density(n: number): number {
    return Math.max(0, this.#extra[n]!) / (this.#hours[n]! + PRIOR_HOURS);
  }
}
