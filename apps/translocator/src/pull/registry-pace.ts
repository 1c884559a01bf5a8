/** A pull waits so many times as long as the registry usually takes. */
export const PATIENCE_RATIO = 8;
/** How much the latest answer counts in what is usual. */
const LATEST_RATIO = 0.1;

/** Knows how long the registry usually takes to say whether a caller may pull: a mean in which older answers count less and less. */
export class RegistryPace {
  #usualMs = Number.POSITIVE_INFINITY;

  /** How long to wait for it, in milliseconds; infinite until it has answered once. */
  get patienceMs(): number {
    return this.#usualMs * PATIENCE_RATIO;
  }

  /** It has answered, after so many milliseconds. */
  took(ms: number): void {
    this.#usualMs = Number.isFinite(this.#usualMs) ? this.#usualMs + (ms - this.#usualMs) * LATEST_RATIO : ms;
  }
}
