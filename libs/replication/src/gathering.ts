import type { Clock } from '#clock';
import type { Digest } from '#oci';
import { SECOND_MS } from '#quantities';

/** How long copies of a layer wait for one that goes on where an earlier try ended: as long as the few calls take by which it takes its partial file over. */
export const GATHERING_MAX_MS = 2 * SECOND_MS;

/**
 * The copies that are about to join a fan-out with pieces that they have already. When a worker dies its successor is given all of its copies at once, and whichever is there first would take from the
 * home share what the others bring along.
 */
export class Gathering {
  readonly #clock: Clock;
  /** By layer: how many are on their way, and what ends when one of them has come. */
  readonly #coming = new Map<Digest, { count: number; changed: PromiseWithResolvers<void> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Has others wait for a copy. @returns to be called when it has joined, or will not; once or more. */
  expect(layer: Digest): () => void {
    const coming = this.#coming.get(layer) ?? { count: 0, changed: Promise.withResolvers<void>() };
    this.#coming.set(layer, coming);
    coming.count += 1;
    let isThere = false;
    return () => {
      if (isThere) return;
      isThere = true;
      coming.count -= 1;
      if (coming.count === 0) this.#coming.delete(layer);
      coming.changed.resolve();
      coming.changed = Promise.withResolvers();
    };
  }

  /** Waits until all that are expected have come, or for {@link GATHERING_MAX_MS}. @throws the signal's reason. */
  async complete(layer: Digest, signal: AbortSignal): Promise<void> {
    if (!this.#coming.has(layer)) return;
    const stop = new AbortController();
    let isOver = false;
    const passed = this.#clock.sleep(GATHERING_MAX_MS, AbortSignal.any([signal, stop.signal])).catch(() => undefined).then(() => (isOver = true));
    try {
      for (let coming = this.#coming.get(layer); coming !== undefined && !isOver; coming = this.#coming.get(layer)) await Promise.race([coming.changed.promise, passed]);
    } finally {
      stop.abort();
    }
    signal.throwIfAborted();
  }
}
