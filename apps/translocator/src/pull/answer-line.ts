/** What answers that have to be worked out may take of one turn of the event loop together, in milliseconds: all that are written already are given between two such shares. */
export const TURN_SHARE_MS = 4;
/** How long an answer stands in line at most, in milliseconds, where there is a cheaper one: with a turn before it and one behind it, it is there well within 50. */
export const STAND_MAX_MS = 15;
/** Answers in line at most; whoever comes then does not wait for a turn. Each belongs to a request that is open anyhow. */
export const LINE_MAX = 10_000;
/** Answers begun in one turn at most: each is given a place in the turn before it is known how long those before it take. */
const STARTS_PER_TURN_MAX = 64;

/** An answer that stands in line: one of its ways is called, once. */
export interface StandingAnswer {
  /** Gives the answer. */
  readonly give: () => void;
  /** Gives a cheaper one instead, when it has stood for too long. Absent: there is none, and it goes before all that have one. */
  readonly giveLess?: (() => void) | undefined;
  /** Whether nobody waits for it any more: then it is passed over. */
  readonly isUnwanted?: (() => boolean) | undefined;
}

/** What an {@link AnswerLine} is made with: parts of the machine, but in tests. */
export interface AnswerLineOptions {
  /** In milliseconds, from any beginning. */
  readonly now?: () => number;
  /** Which turn of the event loop this is. */
  readonly turn?: () => number;
}

interface Standing extends StandingAnswer {
  readonly sinceMs: number;
}

/**
 * Where answers stand that take some time to work out, so that those which take next to none do not wait behind them. Each turn of the event loop first reads all requests
 * that have come, and what is written already is answered as it is read; then this line has its share of the turn, first those that have no cheaper answer, then the others in the order in which they
 * came. What has stood for too long when the share is used up is given its cheaper answer. So what is written waits for no more than one share and what is cheap, however many stand here.
 */
export class AnswerLine {
  readonly #now: () => number;
  readonly #turn: () => number;
  readonly #first: Standing[] = [];
  readonly #others: Standing[] = [];
  /** Places in turns that have been asked for and have not come. */
  #places = 0;
  #shareOfTurn = Number.NaN;
  #shareEndsAtMs = 0;

  constructor({ now = () => performance.now(), turn = turnOfLoop }: AnswerLineOptions = {}) {
    this.#now = now;
    this.#turn = turn;
  }

  /** How many stand in it. */
  get length(): number {
    return this.#first.length + this.#others.length;
  }

  /** Puts it into the line. It is called in a later part of this turn or in one that follows, never before this returns, unless the line is full: then at once. */
  stand(answer: StandingAnswer): void {
    if (this.length >= LINE_MAX) {
      (answer.giveLess ?? answer.give)();
      return;
    }
    (answer.giveLess === undefined ? this.#first : this.#others).push({ ...answer, sinceMs: this.#now() });
    this.#askForPlaces();
  }

  /** One place for each answer: what an answer leaves to be done at once is done before the next begins. */
  #askForPlaces(): void {
    while (this.#places < Math.min(this.length, STARTS_PER_TURN_MAX)) {
      this.#places += 1;
      setImmediate(this.#takePlace);
    }
  }

  readonly #takePlace = (): void => {
    this.#places -= 1;
    const nowMs = this.#now();
    const turn = this.#turn();
    if (turn !== this.#shareOfTurn) {
      this.#shareOfTurn = turn;
      this.#shareEndsAtMs = nowMs + TURN_SHARE_MS;
    }
    const next = this.#nextAt(nowMs);
    this.#askForPlaces();
    next?.();
  };

  /** What to call in this place; undefined: nothing, the share of this turn is used up. */
  #nextAt(nowMs: number): (() => void) | undefined {
    for (;;) {
      const hasShare = nowMs < this.#shareEndsAtMs;
      const next = hasShare ? (this.#first.shift() ?? this.#others.shift()) : this.#tooOldAt(nowMs);
      if (next === undefined) return undefined;
      if (next.isUnwanted?.() !== true) return hasShare ? next.give : next.giveLess;
    }
  }

  #tooOldAt(nowMs: number): Standing | undefined {
    const [oldest] = this.#others;
    return oldest !== undefined && nowMs - oldest.sinceMs > STAND_MAX_MS ? this.#others.shift() : undefined;
  }
}

function turnOfLoop(): number {
  return performance.nodeTiming.uvMetricsInfo.loopCount;
}
