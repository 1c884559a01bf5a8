import type { Clock, RetryPolicy } from '#clock';
import { SECOND_MS } from '#quantities';

import type { AnsweringEntry } from './answering-entry.js';
import type { LeaseBook } from './lease-book.js';
import type { HeldMap } from './map-feeder.js';
import { Repeating } from './repeating.js';

/** How often a process says that it answers, and what it knows: one row, by one statement. */
export const BEAT_MS = 2 * SECOND_MS;

const BACKOFF: RetryPolicy = { triesMax: Number.POSITIVE_INFINITY, firstWaitMs: 500, waitMaxMs: 5 * SECOND_MS, askedWaitMaxMs: 0 };

/** The map that who starts again without the database would answer from. */
export type MapOnDisk<Position = unknown> =
  | { readonly kind: 'none' }
  /** There is one that was of no use when it was read, and that may be of use again: a clock was wrong, or a configuration. */
  | { readonly kind: 'unknown' }
  | ({ readonly kind: 'held' } & Pick<HeldMap<Position>, 'knownTo' | 'loads' | 'withdrawals'>);

/** What {@link AnsweringBeats} are made with. */
export interface AnsweringBeatsOptions<Position> {
  readonly entry: AnsweringEntry;
  readonly feeder: { readonly held: HeldMap<Position> | undefined };
  readonly leases: Pick<LeaseBook, 'settle' | 'unleasedCount'>;
  /** `want` asks for what is on disk to be written anew soon. */
  readonly disk: { readonly onDisk: MapOnDisk<Position>; want(): void };
  /** The last transaction of which a map at that position holds every change. */
  readonly placeOf: (position: Position) => bigint;
  readonly clock: Clock;
  /** Hears of beats that failed, and of leases that could not be written: nothing more is acknowledged until they are. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Says every {@link BEAT_MS} what the process knows: a place in the feed up to which it hands out nothing any more that left the answers. It is looked up in one turn, and said when every lease is
 * written that had been granted by then. Answers are decided and leased in one turn each (`Lookup`), so every answer was either given before that turn, and its lease is written, or is given after it,
 * from a map that knows. The place is never beyond that of the map on disk, which the process, or its successor, may answer from after a crash. What was given without a lease is said, and counts for as long as a lease would have.
 */
export class AnsweringBeats<Position = unknown> {
  readonly #options: AnsweringBeatsOptions<Position>;
  readonly #beats: Repeating;
  #acknowledged: { readonly loads: number; readonly place: bigint } | undefined;
  #saidUnleasedCount = 0;

  constructor(options: AnsweringBeatsOptions<Position>) {
    this.#options = options;
    this.#beats = new Repeating({ clock: options.clock, restMs: BEAT_MS, backoff: BACKOFF, step: () => this.beat(), onFailure: options.onFailure });
  }

  /** Begins. Repeating it changes nothing. */
  start(): void {
    this.#beats.start();
  }

  /** Ends the beats. */
  async stop(): Promise<void> {
    await this.#beats.stop();
  }

  /** One beat. @throws what the store of the processes throws */
  async beat(): Promise<void> {
    await this.#say(false);
  }

  /** The last beat, after the last answer, the last lease, and the last map on disk. A process that was never heard says nothing. @throws what the stores throw */
  async leave(): Promise<void> {
    const { entry, disk } = this.#options;
    if (!entry.isHeard) return;
    await this.#say(true);
    if (disk.onDisk.kind === 'none') await entry.leave();
  }

  async #say(isEnded: boolean): Promise<void> {
    const { entry, feeder, leases, onFailure } = this.#options;
    // In one turn: what is granted from here on is of a map that knows this place.
    const { held } = feeder;
    const place = this.#place(held);
    const { unleasedCount } = leases;
    try {
      await leases.settle();
      // Without a place what was acknowledged before still holds, unless places count anew.
      if (place !== undefined || held?.loads !== this.#acknowledged?.loads) this.#acknowledged = held === undefined || place === undefined ? undefined : { loads: held.loads, place };
    } catch (error) {
      if (held?.loads !== this.#acknowledged?.loads) this.#acknowledged = undefined;
      onFailure(error);
    }
    await entry.say({ knownTo: this.#acknowledged?.place, isUnleased: unleasedCount > this.#saidUnleasedCount, isEnded });
    this.#saidUnleasedCount = unleasedCount;
  }

  /** The place that can be acknowledged once all leases are written; asks for the map on disk where that is what holds it back. */
  #place(held: HeldMap<Position> | undefined): bigint | undefined {
    const { disk, placeOf } = this.#options;
    const { onDisk } = disk;
    if (held === undefined) return undefined;
    const place = placeOf(held.knownTo);
    if (onDisk.kind === 'none') return place;
    if (onDisk.kind === 'unknown' || onDisk.loads !== held.loads) {
      disk.want();
      return undefined;
    }
    if (onDisk.withdrawals !== held.withdrawals) disk.want();
    const kept = placeOf(onDisk.knownTo);
    return kept < place ? kept : place;
  }
}
