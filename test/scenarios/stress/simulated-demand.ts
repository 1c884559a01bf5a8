import { type DemandBatch, type DemandStore, type Observation, ObservationBuffer, StoredForecasts } from '#demand';
import { MemoryDemandStore } from '#demand/testing';

/** The product's way from a pull to its demand: a node's buffer, whose batches are merged, at once or later, once or more often. */
export class SimulatedDemand {
  readonly store: DemandStore = new MemoryDemandStore();
  readonly forecasts = new StoredForecasts(this.store);
  readonly #buffer = new ObservationBuffer();
  #held: DemandBatch[] = [];

  /** A node tells of a pull; `now` is the service's clock. */
  observe(observation: Observation, now: Date): void {
    this.#buffer.observe(observation, now);
  }

  /** Merges what was observed; each batch `times` times. */
  async flush(now: Date, times = 1): Promise<void> {
    this.hold(now);
    for (const batch of this.#held) for (let time = 0; time < times; time += 1) await this.store.merge(batch, now);
    this.#held = [];
  }

  /** Closes the batch and keeps it back for a later {@link flush}. */
  hold(now: Date): void {
    const batch = this.#buffer.drain(now);
    if (batch !== undefined) this.#held.push(batch);
  }
}
