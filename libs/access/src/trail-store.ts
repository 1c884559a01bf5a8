import type { TrailEntry } from './trail.js';

/** Which entries to list. Filters narrow together. */
export interface TrailQuery {
  readonly actor?: string | undefined;
  /** Entries at this instant or later. */
  readonly from?: Date | undefined;
  /** Entries before this instant. */
  readonly until?: Date | undefined;
  /** Only what follows in the order of listing; from the page before. */
  readonly after?: { readonly at: Date; readonly id: string } | undefined;
  readonly limit: number;
}

/** Keeps the trail of changing calls. An entry is begun, then ended once, and never changed again. */
export abstract class TrailStore {
  /** Stores an entry without a status. */
  abstract begin(entry: Omit<TrailEntry, 'status'>): Promise<void>;

  /** Notes what came of the call; a second time, or for an unknown id, it changes nothing. */
  abstract end(id: string, status: number): Promise<void>;

  /** Entries by filters, the newest first, ties by id; one indexed query a page. */
  abstract list(query: TrailQuery): Promise<readonly TrailEntry[]>;

  /** Removes up to `limit` entries that are older than `before` or beyond the newest `keepMax`, the oldest first. @returns how many went. */
  abstract prune(terms: { readonly before: Date; readonly keepMax: number; readonly limit: number }): Promise<number>;
}
