import { after, type Clock, type RetryPolicy } from '#clock';
import { SECOND_MS } from '#quantities';

import { keyOf, MAP_TOPICS, type MapKey, type MapRow, type MapTopic } from './map-row.js';
import type { MapChange, MapSource } from './map-source.js';
import { Repeating } from './repeating.js';
import { ReplicaMap } from './replica-map.js';

/** Changes read at once: one page, so that a burst neither fills the memory nor holds up answers for long. */
export const CHANGE_BATCH_MAX = 1000;
/** How often the feed is looked at when nobody nudges. */
export const FEED_POLL_MS = 500;

const BACKOFF: RetryPolicy = { triesMax: Number.POSITIVE_INFINITY, firstWaitMs: 250, waitMaxMs: 10 * SECOND_MS, askedWaitMaxMs: 0 };

/** Something that the feeder did, for logs and metrics. */
export type FeedReport =
  | { readonly kind: 'loaded'; readonly rowCount: number; readonly seconds: number }
  /** A batch was applied; keys of other topics are not counted. */
  | { readonly kind: 'followed'; readonly keyCount: number }
  /** Changes were lost; a full load follows while the old map goes on answering. */
  | { readonly kind: 'gap' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A map, and how far it is. */
export interface HeldMap<Position = unknown> {
  readonly map: ReplicaMap;
  /** When it held everything up to `position`. */
  readonly asOf: Date;
  /** Where to read on in the feed: up to here it holds everything; changes after it may be in it already. */
  readonly position: Position;
  /** The last place up to which it is known to hold everything: `position`, or beyond it where nothing has changed since. */
  readonly knownTo: Position;
  /** How often everything was loaded: positions from before a load are not to be compared with those after it. */
  readonly loads: number;
  /** How many replicas it was told of that had left the answers. */
  readonly withdrawals: number;
}

/** What a {@link MapFeeder} is made with. */
export interface MapFeederOptions<Position> {
  readonly source: MapSource<Position>;
  readonly clock: Clock;
  /** Default {@link FEED_POLL_MS}. */
  readonly pollMs?: number;
  /** Default {@link CHANGE_BATCH_MAX}. */
  readonly batchMax?: number;
  readonly onReport?: (report: FeedReport) => void;
}

/**
 * Keeps a replica map like its source: a full load, then every change after the place in the feed where that load began. Rows are always
 * read as they are now, so changes may be told twice or late. While the source fails, or holds changes back, the map stays as it is and grows old (`asOf`).
 * During a full load after a gap the old map goes on answering; the process then holds two.
 */
export class MapFeeder<Position = unknown> {
  readonly #options: MapFeederOptions<Position>;
  readonly #polls: Repeating;
  #map = new ReplicaMap();
  /** Undefined: a full load is needed. */
  #position: { readonly value: Position } | undefined;
  #polling: Promise<void> | undefined;
  /** Undefined: as the position. Nothing is read on from here: after a standby took over, places that it had not heard of may come again. */
  #knownTo: { readonly value: Position } | undefined;
  #loads = 0;
  #withdrawals = 0;

  constructor(options: MapFeederOptions<Position>) {
    this.#options = options;
    this.#polls = new Repeating({
      clock: options.clock,
      restMs: options.pollMs ?? FEED_POLL_MS,
      backoff: BACKOFF,
      step: () => this.poll(),
      onFailure: (error) => options.onReport?.({ kind: 'failed', error }),
    });
  }

  /** The map to answer from now. Ask for it with every answer: it is replaced after a gap. */
  get map(): ReplicaMap {
    return this.#map;
  }

  /** The map with a place in the feed up to which it holds everything; undefined before the first load, and while one is needed. */
  get held(): HeldMap<Position> | undefined {
    const { asOf } = this.#map;
    if (asOf === undefined || this.#position === undefined) return undefined;
    return { map: this.#map, asOf, position: this.#position.value, knownTo: this.#knownTo?.value ?? this.#position.value, loads: this.#loads, withdrawals: this.#withdrawals };
  }

  /** Answers from this map, and follows the feed from that place instead of loading everything. Before the first load only: later it changes nothing. */
  adopt(map: ReplicaMap, position: Position): void {
    if (this.#map.asOf !== undefined) return;
    this.#map = map;
    this.#position = { value: position };
  }

  /** Begins to follow the source. */
  start(): void {
    this.#polls.start();
  }

  /** Looks at the feed at once. */
  nudge(): void {
    this.#polls.nudge();
  }

  /** Stops following, after the poll that is under way. The map stays. */
  async stop(): Promise<void> {
    await this.#polls.stop();
  }

  /**
   * Brings the map up to the end of the feed, loading it first where needed, but only once: what is lost again meanwhile is for the next poll.
   * Polls at the same time are one poll.
   * @throws what the source throws; what was applied until then stays, and is applied again by the next poll.
   */
  poll(): Promise<void> {
    this.#polling ??= this.#catchUp().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #catchUp(): Promise<void> {
    const { source, clock, batchMax = CHANGE_BATCH_MAX, onReport } = this.#options;
    let mayLoad = this.#position !== undefined;
    this.#position ??= await this.#load();
    for (;;) {
      const askedAt = clock.now();
      const batch = await source.changesAfter(this.#position.value, batchMax);
      if (batch.gap) {
        onReport?.({ kind: 'gap' });
        this.#position = undefined;
        if (!mayLoad) return;
        mayLoad = false;
        this.#position = await this.#load();
        continue;
      }
      await this.#apply(batch.changes);
      const isFull = batch.changes.length >= batchMax;
      this.#position = { value: batch.position };
      this.#knownTo = isFull || batch.end === undefined ? undefined : { value: batch.end };
      if (isFull) continue;
      this.#advanceAsOf(after(askedAt, -(batch.heldBackMs ?? 0)));
      return;
    }
  }

  /** Never back: what the map was known to hold it holds. A load has read also what the feed still holds back. */
  #advanceAsOf(asOf: Date): void {
    if (this.#map.asOf === undefined || asOf > this.#map.asOf) this.#map.asOf = asOf;
  }

  async #load(): Promise<{ readonly value: Position }> {
    const { source, clock, onReport } = this.#options;
    const beganAt = clock.now();
    const value = await source.position();
    const fresh = new ReplicaMap();
    const topics = new AbortController();
    const counts = await Promise.allSettled(MAP_TOPICS.map((topic) => this.#loadTopic(topic, fresh, topics)));
    const failure = counts.find((each) => each.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
    const rowCount = counts.reduce((sum, each) => sum + (each.status === 'fulfilled' ? each.value : 0), 0);
    fresh.asOf = beganAt;
    this.#map = fresh;
    this.#knownTo = undefined;
    this.#loads += 1;
    onReport?.({ kind: 'loaded', rowCount, seconds: (clock.now().getTime() - beganAt.getTime()) / 1000 });
    return { value };
  }

  /** The topics are loaded at the same time: the database works for one while rows of another are put. One that fails ends the others. @returns how many rows there were. */
  async #loadTopic(topic: MapTopic, map: ReplicaMap, topics: AbortController): Promise<number> {
    let rowCount = 0;
    try {
      for await (const page of this.#options.source.load(topic)) {
        if (topics.signal.aborted) break;
        for (const row of page) {
          map.put(row);
          rowCount += row.topic === 'replicas' ? row.replicas.length : 1;
        }
      }
    } catch (error) {
      topics.abort();
      throw error;
    }
    return rowCount;
  }

  /** All at once: no answer sees an image without what was told of its layers together with it. */
  async #apply(changes: readonly MapChange[]): Promise<void> {
    const read: { readonly topic: MapTopic; readonly keys: ReadonlyMap<string, MapKey>; readonly rows: readonly MapRow[] }[] = [];
    for (const [topic, keys] of changedKeys(changes)) read.push({ topic, keys, rows: await this.#options.source.read(topic, [...keys.values()]) });
    let keyCount = 0;
    for (const { topic, keys, rows } of read) {
      const gone = new Map(keys);
      for (const row of rows) {
        this.#map.put(row);
        if (row.topic === 'replica' && row.state === 'draining') this.#withdrawals += 1;
        gone.delete(keyText(keyOf(row)));
      }
      for (const key of gone.values()) this.#map.remove(topic, key);
      keyCount += keys.size;
    }
    if (keyCount > 0) this.#options.onReport?.({ kind: 'followed', keyCount });
  }
}

/** Each changed key once, by topic. */
function changedKeys(changes: readonly MapChange[]): Map<MapTopic, Map<string, MapKey>> {
  const keys = new Map<MapTopic, Map<string, MapKey>>();
  for (const { topic, key } of changes) {
    if (!isMapTopic(topic)) continue;
    let ofTopic = keys.get(topic);
    if (ofTopic === undefined) keys.set(topic, (ofTopic = new Map<string, MapKey>()));
    ofTopic.set(keyText(key), key);
  }
  return keys;
}

function isMapTopic(topic: string): topic is MapTopic {
  return (MAP_TOPICS as readonly string[]).includes(topic);
}

/** No name, tag, digest or share has a line break. */
function keyText(key: MapKey): string {
  return key.join('\n');
}
