import { type Clock, type RetryPolicy, retrying } from '#clock';
import type { ChangeFeed, FeedPosition } from '#database';
import type { ExpandedLayerStore, LayerStanding } from '#expansion';
import type { AnsweringEntry, ImageRow, LayerReplicasRow, LayerRow, LoadedRow, MapChanges, MapKey, MapRow, MapTopic, ReplicaRow } from '#mounts';
import { MapSource } from '#mounts';
import type { Digest } from '#oci';
import type { CatalogueReader, ImageContent } from '#registry';
import { SECOND_MS } from '#quantities';
import type { LayerReplicaStates, Replica, ReplicaStore } from '#replication';

/** Rows read at once while loading. */
const PAGE_ROWS = 1000;

/**
 * How often a page is read that fails, such as one that a busy database took longer for than a statement may: all that was loaded before it stays. When it still fails after these, the whole load begins
 * anew later. Short waits: everybody else waits for the map.
 */
export const PAGE_RETRIES: RetryPolicy = { triesMax: 5, firstWaitMs: 500, waitMaxMs: 4 * SECOND_MS, askedWaitMaxMs: 0 };

/** How the feed tells that an expansion went on: apart from changes of state, which others plan by. */
const PROGRESS_TOPIC = 'progress';

/** The stores that a lookup's map is made of. */
export interface MapStores {
  readonly feed: Pick<ChangeFeed, 'end' | 'readAfter'>;
  readonly catalogue: CatalogueReader;
  readonly layers: ExpandedLayerStore;
  readonly replicas: ReplicaStore;
  /** Of this process among those that answer: it learns nothing new while that is not up to date. */
  readonly entry: Pick<AnsweringEntry, 'ensure'>;
  readonly clock: Clock;
  /** Hears of every page that could not be read; it is read again, until {@link PAGE_RETRIES} are used up. */
  readonly onPageFailed?: (topic: MapTopic, error: unknown) => void;
}

/** Feeds the lookup map from the stores of the rooms, which know nothing of each other. */
export class StoredMapSource extends MapSource<FeedPosition> {
  readonly #stores: MapStores;

  constructor(stores: MapStores) {
    super();
    this.#stores = stores;
  }

  async position(): Promise<FeedPosition> {
    await this.#stores.entry.ensure();
    return this.#stores.feed.end();
  }

  async changesAfter(position: FeedPosition, limit: number): Promise<MapChanges<FeedPosition>> {
    await this.#stores.entry.ensure();
    const batch = await this.#stores.feed.readAfter(position, limit);
    return { ...batch, changes: batch.changes.map(({ topic, key }) => ({ topic: topic === PROGRESS_TOPIC ? 'layer' : topic, key })) };
  }

  load(topic: MapTopic): AsyncIterable<readonly LoadedRow[]> {
    const { catalogue, layers, replicas } = this.#stores;
    switch (topic) {
      case 'repository':
        return this.#pages(topic, (after) => catalogue.repositoriesAfter(after?.name, PAGE_ROWS), toRepositoryRow);
      case 'tag':
        return this.#pages(topic, (after) => catalogue.tagsAfter(after, PAGE_ROWS), toTagRow);
      case 'image':
        return this.#pages(topic, (after) => catalogue.contentsAfter(after, PAGE_ROWS), toImageRow);
      case 'layer':
        return this.#pages(topic, (after) => layers.standingsAfter(after?.digest, PAGE_ROWS), toLayerRow);
      case 'replica':
        return this.#pages(topic, (after) => replicas.statesAfter(after?.layer, PAGE_ROWS), toReplicasRow);
    }
  }

  /** All pages of a table that is read in the order of its keys. While one is used the next is read already. */
  async *#pages<Stored, Row>(topic: MapTopic, read: (after: Stored | undefined) => Promise<readonly Stored[]>, toRow: (stored: Stored) => Row): AsyncGenerator<Row[], void> {
    const { clock, onPageFailed } = this.#stores;
    const ended = new AbortController();
    const judge = (error: unknown): { readonly retry: boolean } => {
      onPageFailed?.(topic, error);
      return { retry: true };
    };
    const patiently = (after: Stored | undefined): Promise<readonly Stored[]> => retrying({ clock, policy: PAGE_RETRIES, judge, signal: ended.signal }, () => read(after));
    try {
      for (let reading = patiently(undefined); ;) {
        const page = await reading;
        const last = page.at(-1);
        if (last === undefined) return;
        reading = patiently(last);
        // It may fail while this page is in use, or be of no use any more; whoever awaits it hears of it.
        reading.catch(() => undefined);
        yield page.map(toRow);
      }
    } finally {
      // Nobody reads on: what was read ahead is not tried again.
      ended.abort();
    }
  }

  async read(topic: MapTopic, keys: readonly MapKey[]): Promise<readonly MapRow[]> {
    const { catalogue, layers, replicas } = this.#stores;
    switch (topic) {
      case 'repository':
        return (await catalogue.repositoriesByName(keys.map(([name = '']) => name))).map(toRepositoryRow);
      case 'tag':
        return (await catalogue.tagsByKey(keys.map(([repository = '', tag = '']) => ({ repository, tag })))).map(toTagRow);
      case 'image':
        return (await catalogue.imagesByKey(keys.map(([repository = '', digest]) => ({ repository, digest: digest as Digest })))).map(toImageRow);
      case 'layer':
        return (await layers.find(keys.map(([digest]) => digest as Digest))).map(toLayerRow);
      case 'replica': {
        const asked = new Set(keys.map((key) => key.join(' ')));
        const found = await replicas.find([...new Set(keys.map(([layer]) => layer as Digest))]);
        return found.filter((replica) => asked.has(`${replica.layer} ${replica.share}`)).map(toReplicaRow);
      }
    }
  }
}

function toRepositoryRow({ name, enabled }: { readonly name: string; readonly enabled: boolean }): MapRow {
  return { topic: 'repository', name, enabled };
}

function toTagRow({ repository, tag, digest }: { readonly repository: string; readonly tag: string; readonly digest: Digest }): MapRow {
  return { topic: 'tag', repository, tag, digest };
}

function toImageRow({ repository, digest, kind, layers, children, viewDigest }: ImageContent): ImageRow {
  const content: ImageRow['content'] =
    kind === 'image'
      ? { kind, layers: layers.map((layer) => ({ digest: layer.digest, diffId: layer.diffId, sizeBytes: layer.sizeBytes })), view: viewDigest }
      : { kind, children: children.map((child) => ({ digest: child.digest, platform: child.platform })) };
  return { topic: 'image', repository, digest, content };
}

function toLayerRow(record: LayerStanding): LayerRow {
  const { digest, state, expanded, refusal, readBytes, stacks, wantedAt: since } = record;
  const row = { topic: 'layer', digest } as const;
  if (state === 'expanded' && expanded !== undefined) {
    const { diffId, writerVersion, vhd, verity } = expanded;
    return { ...row, state, diffId: stacks === undefined ? diffId : undefined, writerVersion, vhd, verity };
  }
  if (state === 'refused') return { ...row, state, refusal: refusal?.code ?? '' };
  return state === 'expanding' ? { ...row, state, since, doneBytes: readBytes } : { ...row, state: 'wanted', since };
}

function toReplicasRow({ layer, replicas }: LayerReplicaStates): LayerReplicasRow {
  return { topic: 'replicas', layer, replicas };
}

function toReplicaRow({ layer, share, state }: Replica): ReplicaRow {
  return { topic: 'replica', layer, share, state };
}
