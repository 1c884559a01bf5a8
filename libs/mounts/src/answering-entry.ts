import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';

import type { AnsweringBeat, AnsweringProcesses } from './answering-processes.js';

/** A map does not follow the feed while the process was not heard for longer than this: whoever counts the time since it was heard last can rely on it that its map is not much younger. */
export const BEAT_AGE_MAX_MS = 15 * SECOND_MS;

/** What an {@link AnsweringEntry} is made with. */
export interface AnsweringEntryOptions extends Pick<AnsweringBeat, 'id' | 'name'> {
  readonly store: AnsweringProcesses;
  readonly clock: Clock;
  /** How long mounts may be given, and held, by what was known when it was heard last: `removalWaitMs`. It counts {@link BEAT_AGE_MAX_MS} longer. */
  readonly removalWaitMs: number;
}

/** The entry of this process among those that answer. */
export class AnsweringEntry {
  readonly #options: AnsweringEntryOptions;
  #heardAt: Date | undefined;
  #said: Pick<AnsweringBeat, 'knownTo' | 'isEnded'> = { knownTo: undefined, isEnded: false };
  #predecessor: string | undefined;

  constructor(options: AnsweringEntryOptions) {
    this.#options = options;
  }

  /** Whether it was ever heard. */
  get isHeard(): boolean {
    return this.#heardAt !== undefined;
  }

  /** Who speaks for what this process leaves on disk: its predecessor, until it is heard itself. */
  get speaker(): string {
    return this.isHeard ? this.#options.id : (this.#predecessor ?? this.#options.id);
  }

  /** Begins where that process left off, from what it left on disk. Before it is heard the first time only. */
  follow(predecessor: string | undefined): void {
    this.#predecessor = predecessor;
  }

  /** Has it be heard, unless it was not long ago: to be awaited before anything newer is learnt. @throws what the store throws */
  async ensure(): Promise<void> {
    const ageMs = this.#heardAt === undefined ? Number.POSITIVE_INFINITY : this.#options.clock.now().getTime() - this.#heardAt.getTime();
    if (ageMs >= 0 && ageMs <= BEAT_AGE_MAX_MS) return;
    await this.#beat({ ...this.#said, isUnleased: false });
  }

  /** Says what it knows. @throws what the store throws */
  async say(said: Pick<AnsweringBeat, 'knownTo' | 'isUnleased' | 'isEnded'>): Promise<void> {
    await this.#beat(said);
    this.#said = { knownTo: said.knownTo, isEnded: said.isEnded };
  }

  /** Leaves, and nothing behind that could answer. @throws what the store throws */
  async leave(): Promise<void> {
    await this.#options.store.forget(this.#options.id, this.#options.clock.now());
  }

  async #beat(said: Pick<AnsweringBeat, 'knownTo' | 'isUnleased' | 'isEnded'>): Promise<void> {
    const { id, name, store, clock, removalWaitMs } = this.#options;
    const askedAt = clock.now();
    await store.heard({ id, name, countsForMs: removalWaitMs + BEAT_AGE_MAX_MS, predecessor: this.isHeard ? undefined : this.#predecessor, ...said }, askedAt);
    this.#heardAt = askedAt;
  }
}
