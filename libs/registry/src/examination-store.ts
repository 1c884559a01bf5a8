import { ClaimSource, type WorkList } from '#claims';
import { DAY_MS } from '#quantities';

import { referenceToExamine, type RegistryEvent } from './registry-event.js';

/** The wish that one reference be looked up in the registry and recorded as it is found. */
export interface Examination {
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  /** Grows whenever something new happens to the reference, so that what happens during an examination makes it run again. */
  readonly generation: number;
  /** Higher is more urgent: {@link PUSH_PRIORITY}, or below it for backfills. */
  readonly priority: number;
  /** The latest push that asked for it; absent for backfills and deletions. */
  readonly pushedAt?: Date;
}

/** The urgency of what a push or a deletion asks for. Backfills come below it, their newest reference first. */
export const PUSH_PRIORITY = 1_000_000;

/** How long an event's id is remembered, in milliseconds: registries repeat for hours at most, and a repetition after that does no harm. */
export const EVENT_ID_RETENTION_MS = 7 * DAY_MS;

/** What became of a notification's events. */
export interface Intake {
  /** Events that had not been seen before, in their order; pulls are among them, for whoever counts demand. */
  readonly fresh: readonly RegistryEvent[];
  readonly duplicateCount: number;
  /** Examinations that were added, or will run again. */
  readonly wantedCount: number;
}

/** Examinations that are waiting or running, and the events that asked for them. */
export abstract class ExaminationStore extends ClaimSource<Examination> {
  /** All of them, for operators; subjects are repository and reference, in this order also the key. */
  abstract readonly work: WorkList;

  /**
   * Takes events in, in one transaction: remembers their ids, and wants an examination of each manifest or tag that a new one pushed or
   * deleted. Several for one (repository, reference) become one, and what waited for another try is due at once. At most 1,000 events.
   */
  abstract intake(events: readonly RegistryEvent[], now: Date): Promise<Intake>;

  /**
   * Ends an examination that has been carried out. If it was wanted again meanwhile (its generation is no longer `generation`), it is given
   * back to run once more. Counts for the backfill that it belongs to. @returns false when the claim was lost.
   */
  abstract settle(claimId: string, generation: number, now: Date): Promise<boolean>;

  /** How many examinations are open, waiting or running; of one repository, or of all. */
  abstract openCount(repository?: string): Promise<number>;

  /** Forgets the ids of events received before `before`, at most `limit` of them. @returns how many went. */
  abstract pruneEvents(before: Date, limit: number): Promise<number>;
}

/** A reference that events want examined. */
export interface WantedReference {
  readonly repository: string;
  readonly reference: string;
  /** The latest push among the events; undefined when there are only deletions. */
  readonly pushedAt: Date | undefined;
}

/** The references that events want examined, each once, with its latest push. */
export function wantedByEvents(events: readonly RegistryEvent[]): WantedReference[] {
  const wanted = new Map<string, WantedReference>();
  for (const event of events) {
    const reference = referenceToExamine(event);
    if (reference === undefined) continue;
    const key = `${event.repository}@${reference}`;
    const known = wanted.get(key)?.pushedAt;
    const pushedAt = event.action === 'push' && (known === undefined || known < event.at) ? event.at : known;
    wanted.set(key, { repository: event.repository, reference, pushedAt });
  }
  return [...wanted.values()];
}
