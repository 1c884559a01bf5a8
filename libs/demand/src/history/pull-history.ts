import type { Digest } from '#oci';
import { DAY_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { DemandKey } from '../observation.js';

/** Pulls in one batch, line by line: what a process keeps until it can write. Beyond it pulls are counted and not told one by one. */
export const HISTORY_LINES_MAX = 20_000;
/** How long after its closing a batch is still taken. Its id is remembered for twice that. */
export const HISTORY_BATCH_AGE_MAX_MS = DAY_MS;
/** Events read at once. */
export const HISTORY_PAGE_MAX = 5000;

/** One pull, as it is told. */
export interface ToldPull extends DemandKey {
  readonly at: Date;
  /** Names the client without revealing it. */
  readonly client: string;
}

/** Pulls that one process saw; kept once, however often it is handed over. */
export interface HistoryBatch {
  /** A UUID, new with every batch. */
  readonly batchId: string;
  readonly closedAt: Date;
  /** How often each image was pulled; each key once. */
  readonly totals: readonly (DemandKey & { readonly pulls: number })[];
  /** The same pulls one by one, where they are to be told; at most {@link HISTORY_LINES_MAX}. */
  readonly lines: readonly ToldPull[];
}

/** Something that happened to an image: what the history of a registry is made of. Pushes and deletions have no region: they are of the registry. */
export interface HistoryEvent {
  readonly kind: 'push' | 'delete' | 'pull' | 'pin';
  readonly at: Date;
  readonly region?: RegionName;
  readonly repository: string;
  readonly image: Digest;
  /** Of a pull. */
  readonly client?: string;
  /** Of a pin that ends, or was deleted. */
  readonly until?: Date;
}

/** Where a page of events ended. */
export interface HistoryMark {
  readonly at: Date;
  /** As decimal text. */
  readonly sequence: string;
}

/** Which events to read. */
export interface HistoryQuery {
  /** From this instant on, up to before that one. */
  readonly since: Date;
  readonly until: Date;
  readonly after?: HistoryMark;
  /** From 1 to {@link HISTORY_PAGE_MAX}. */
  readonly limit: number;
}

/** An image that is gone, and what it was made of: a history that names it cannot be understood without. */
export interface GoneImage {
  readonly repository: string;
  readonly digest: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
}

/** What is kept no longer. */
export interface HistoryBounds {
  /** Events from before are forgotten, and images that went before; of pins those that ended before. */
  readonly before: Date;
  /** Events kept at most: the oldest go, but for pins in force. */
  readonly eventsMax: number;
  /** Totals of images that were not pulled since are forgotten. */
  readonly totalsBefore: Date;
  readonly now: Date;
}

/**
 * Remembers what happened: how often each image was pulled in each region, exactly and for good as long as it is pulled at all; and, as far as they are told, every pull, push, deletion and pin.
 * Pushes, deletions and pins are noted by the tables of their rooms; pulls come in batches from whoever answered them.
 */
export abstract class PullHistory {
  /** Adds a batch, exactly once by its id, in one transaction. @returns whether it was kept now, before, or is too old to be told apart from one that was. */
  abstract keep(batch: HistoryBatch, now: Date): Promise<'kept' | 'repeated' | 'expired'>;

  /** How often each of these images was pulled in a region since counting began; 0 for what is not known. In the order given. */
  abstract totals(region: RegionName, images: readonly { readonly repository: string; readonly digest: Digest }[]): Promise<number[]>;

  /** Events in the order of their instants, then of their coming. Pins of before that still held at `since` are told of as made then: what follows cannot be understood without. */
  abstract events(query: HistoryQuery): Promise<{ readonly events: readonly HistoryEvent[]; readonly next?: HistoryMark }>;

  /** Images that are gone, after the last one of the page before, by repository and digest. */
  abstract goneImages(after: { readonly repository: string; readonly digest: Digest } | undefined, limit: number): Promise<GoneImage[]>;

  /** Forgets up to `limit` rows of each kind that are beyond the bounds. @returns the most of any kind. */
  abstract prune(bounds: HistoryBounds, limit: number): Promise<number>;
}
