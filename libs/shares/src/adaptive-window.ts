/** Within which a window moves. */
export interface WindowBounds {
  /** Calls at a time, at least: 1 or more. */
  readonly min: number;
  /** Where it begins. */
  readonly start: number;
  /** Calls at a time, at most. */
  readonly max: number;
}

/** How one call went that was let through a window. Instants in milliseconds, of one clock. */
export interface WindowedCall {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Whether the window was full when it began: growing an unused window would tell nothing. */
  readonly windowFull: boolean;
  /** Whether it moved about a piece of bytes: the latencies of these are compared with one another, those of small calls tell nothing of a link. */
  readonly bulk: boolean;
}

/** What is kept of the window when the other side throttles. */
const THROTTLED_RATIO = 0.5;
/** What is kept of the window when calls only queue: enough less to let the queue run empty, not enough to leave the link idle. */
const QUEUEING_RATIO = 0.85;
/** How many times the shortest latency of late the mean may be: the link is full at once its latency, the rest is queue. */
const LATENCY_FACTOR = 4;
/** A mean latency below this is never too long: on near links it is noise that is measured. */
const LATENCY_ALLOWED_MS = 250;
/** How often the shortest latency is measured anew, with the window at its minimum: a full queue would hide it, and a route may become longer for good. */
const MEASURED_EVERY_MS = 60_000;
/** Calls that measure it, for each that the minimum allows: the first ones still meet what is left of the queue. */
const MEASURING_ROUNDS = 2;

/**
 * How many calls may be under way at a time, found out by trying: one more for each round of calls that went well (twice as many in the beginning), half
 * as many when the other side throttles, a little less when calls take several times as long as the shortest of late, for then they only wait in a queue
 * on the way. The shortest is measured anew every minute, for which the window is at its minimum for two rounds. Additive increase with multiplicative decrease, so several of them come to share a bottleneck evenly.
 *
 * A decision: it has no clock and no waits. All calls that were under way at a decrease count as one: they were sent at the old width.
 */
export class AdaptiveWindow {
  readonly #bounds: WindowBounds;
  #size: number;
  /** Whether it still doubles with every round: until it was decreased for the first time. */
  #exploring = true;
  #decreasedAtMs = Number.NEGATIVE_INFINITY;
  #round = { calls: 0, latencyMs: 0 };
  #queueing = false;
  /** The shortest latency, and when it was last measured alone. */
  #shortest = { ms: Number.POSITIVE_INFINITY, measuredAtMs: Number.NaN };
  #measuring: { readonly sinceMs: number; callsLeft: number; shortestMs: number } | undefined;

  constructor(bounds: WindowBounds) {
    this.#bounds = bounds;
    this.#size = bounds.start;
  }

  /** Calls that may be under way now: a whole number within the bounds. */
  get size(): number {
    return this.#measuring === undefined ? Math.floor(this.#size) : this.#bounds.min;
  }

  /** A call was served. */
  served(call: WindowedCall): void {
    if (call.bulk) this.#noteLatency(call);
    if (!call.windowFull || this.#queueing || this.#measuring !== undefined) return;
    this.#size = Math.min(this.#bounds.max, this.#size + (this.#exploring ? 1 : 1 / this.#size));
  }

  /** A call was refused because too much is asked of the other side, or was given up by it. */
  throttled(call: WindowedCall): void {
    this.#decrease(call, THROTTLED_RATIO);
  }

  #decrease({ startedAtMs, endedAtMs }: WindowedCall, keptRatio: number): void {
    if (startedAtMs < this.#decreasedAtMs) return;
    this.#exploring = false;
    this.#size = Math.max(this.#bounds.min, this.#size * keptRatio);
    this.#decreasedAtMs = endedAtMs;
    this.#round = { calls: 0, latencyMs: 0 };
  }

  /** A round is as many calls as the window is wide: about what one latency brings. */
  #noteLatency(call: WindowedCall): void {
    const latencyMs = Math.max(0, call.endedAtMs - call.startedAtMs);
    if (this.#measure(call, latencyMs)) return;
    this.#shortest.ms = Math.min(this.#shortest.ms, latencyMs);
    this.#round = { calls: this.#round.calls + 1, latencyMs: this.#round.latencyMs + latencyMs };
    if (this.#round.calls < this.#size) return;
    const meanMs = this.#round.latencyMs / this.#round.calls;
    this.#round = { calls: 0, latencyMs: 0 };
    this.#queueing = meanMs > Math.max(LATENCY_ALLOWED_MS, LATENCY_FACTOR * this.#shortest.ms);
    if (this.#queueing) this.#decrease(call, QUEUEING_RATIO);
  }

  /** Whether the shortest latency is being measured: what ends meanwhile counts for nothing else. */
  #measure({ startedAtMs, endedAtMs }: WindowedCall, latencyMs: number): boolean {
    if (Number.isNaN(this.#shortest.measuredAtMs)) this.#shortest.measuredAtMs = endedAtMs;
    const measuring = this.#measuring;
    if (measuring === undefined) {
      if (endedAtMs - this.#shortest.measuredAtMs < MEASURED_EVERY_MS) return false;
      this.#measuring = { sinceMs: endedAtMs, callsLeft: MEASURING_ROUNDS * this.#bounds.min, shortestMs: Number.POSITIVE_INFINITY };
      return true;
    }
    if (startedAtMs < measuring.sinceMs) return true;
    measuring.shortestMs = Math.min(measuring.shortestMs, latencyMs);
    measuring.callsLeft -= 1;
    if (measuring.callsLeft > 0) return true;
    this.#shortest = { ms: measuring.shortestMs, measuredAtMs: endedAtMs };
    this.#measuring = undefined;
    this.#queueing = false;
    this.#round = { calls: 0, latencyMs: 0 };
    return true;
  }
}
