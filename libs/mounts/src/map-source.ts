import type { LoadedRow, MapKey, MapRow, MapTopic } from './map-row.js';

/** One change in the feed: some row of that key is new, other, or gone. Topics that the map does not keep are told too and passed over. */
export interface MapChange {
  readonly topic: string;
  readonly key: MapKey;
}

/** Some changes, oldest first, and where to read on. */
export interface MapChanges<Position> {
  readonly changes: readonly MapChange[];
  readonly position: Position;
  /** Where the feed ended when it was asked: where the batch is not full nothing more can appear before it. Default: `position`. */
  readonly end?: Position | undefined;
  /** True when changes after the asked position are lost: everything must be loaded anew. */
  readonly gap: boolean;
  /**
   * How long ago the oldest change was made that has happened and cannot be told yet. Undefined when there is none: then the map is as
   * fresh as the question.
   */
  readonly heldBackMs?: number | undefined;
}

/**
 * Where a replica map comes from: the rows as they are now, and an ordered feed of which of them changed. `Position` is a place in that
 * feed and means nothing here. Every method may fail at any time; the feeder keeps what it has and tries again.
 */
export abstract class MapSource<Position = unknown> {
  /** The end of the feed now. What changes after it, or was still under way then, is told by `changesAfter(position)`. */
  abstract position(): Promise<Position>;

  /** Every row of a topic, in pages of a bounded size, each row at least once. Rows that change meanwhile may be told old or new. All topics may be loaded at the same time. */
  abstract load(topic: MapTopic): AsyncIterable<readonly LoadedRow[]>;

  /** Up to `limit` changes after `position`; fewer mean that there are no more for now. */
  abstract changesAfter(position: Position, limit: number): Promise<MapChanges<Position>>;

  /** The rows of these keys as they are now, in any order; a key without a row is left out. At most as many keys as one batch of changes has. */
  abstract read(topic: MapTopic, keys: readonly MapKey[]): Promise<readonly MapRow[]>;
}
