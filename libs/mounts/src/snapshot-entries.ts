import { KiB } from '#quantities';

import { MappedImage, type MappedManifest } from './mapped-image.js';
import type { LayerDescription } from './layer-columns.js';
import type { MapTables, RepositoryEntry } from './map-tables.js';
import { SnapshotText } from './snapshot-text.js';

/** Marks a frame of entries, in its first byte. */
export const ENTRIES_FRAME = 1;
/** Entries are written until a frame has this many bytes: a turn of well below a millisecond. */
const FRAME_BYTES = 32 * KiB;

/** Kinds of entries by their numbers. A tag and a manifest belong to the repository that was told last. */
const [REPOSITORY, TAG, INDEX, IMAGE, SHARE] = [0, 1, 2, 3, 4];
/** What is known of a repository besides its tags and manifests: nothing, or whether it is enabled. */
const STANDINGS = [undefined, false, true] as const;

/** Repositories with their tags and manifests as the contents of frames: the mark 1, then entries. They name layers by their numbers, so layers are told after them. */
export function* repositoryFrames({ repositories }: MapTables): Generator<Buffer, void> {
  const text = begun();
  for (const [name, { enabled, tags, images }] of repositories) {
    text.putNumber(REPOSITORY);
    text.putText(name);
    text.putNumber(STANDINGS.indexOf(enabled));
    for (const [tag, digest] of tags) {
      text.putNumber(TAG);
      text.putText(tag);
      text.putDigest(digest);
      yield* whenFull(text);
    }
    for (const [digest, manifest] of images) {
      writeManifest(text, manifest);
      text.putDigest(digest);
      yield* whenFull(text);
    }
    yield* whenFull(text);
  }
  yield text.take();
}

/** The names of shares, in the order of their numbers, by which replicas name them: told after layers. */
export function* shareFrames({ shareNames }: MapTables): Generator<Buffer, void> {
  const text = begun();
  for (const name of shareNames) {
    text.putNumber(SHARE);
    text.putText(name);
    yield* whenFull(text);
  }
  yield text.take();
}

/** Reads entries into tables, frame by frame. */
export class EntryReader {
  readonly #tables: MapTables;
  /** Told last. */
  #repository: RepositoryEntry | undefined;

  constructor(tables: MapTables) {
    this.#tables = tables;
  }

  /** Reads a frame of entries. */
  read(content: Buffer): void {
    const text = new SnapshotText(content);
    text.number();
    while (!text.ended) this.#entry(text);
  }

  #entry(text: SnapshotText): void {
    const kind = text.number();
    switch (kind) {
      case REPOSITORY:
        this.#repository = this.#tables.repository(text.text());
        this.#repository.enabled = STANDINGS[text.number()];
        return;
      case TAG:
        this.#told.tags.set(text.text(), text.digest());
        return;
      case INDEX:
      case IMAGE: {
        const manifest = kind === INDEX ? readIndex(text) : readImage(text, this.#tables);
        this.#told.images.set(text.digest(), manifest);
        return;
      }
      case SHARE:
        this.#tables.addShare(text.text());
        return;
      default:
        throw new Error(`an entry of the kind ${kind}: the bytes were checked, so their writer is wrong`);
    }
  }

  get #told(): RepositoryEntry {
    if (this.#repository === undefined) throw new Error('an entry before its repository: the bytes were checked, so their writer is wrong');
    return this.#repository;
  }
}

function begun(): SnapshotText {
  const text = new SnapshotText();
  text.putNumber(ENTRIES_FRAME);
  return text;
}

function* whenFull(text: SnapshotText): Generator<Buffer, void> {
  if (text.length < FRAME_BYTES) return;
  yield text.take();
  text.putNumber(ENTRIES_FRAME);
}

function writeManifest(text: SnapshotText, manifest: MappedManifest): void {
  if (manifest.kind === 'index') {
    text.putNumber(INDEX);
    text.putNumber(manifest.children.length);
    for (const { digest, platform } of manifest.children) {
      text.putDigest(digest);
      text.putText(JSON.stringify(platform));
    }
    return;
  }
  const { layers, own, view } = manifest.numbers;
  text.putNumber(IMAGE);
  text.putNumber(view === undefined ? 0 : view + 1);
  text.putNumber(layers.length);
  for (const number of layers) text.putNumber(number);
  text.putNumber(own?.size ?? 0);
  for (const [place, { diffId, sizeBytes }] of own ?? []) {
    text.putNumber(place);
    text.putDigest(diffId);
    text.putNumber(sizeBytes);
  }
}

function readIndex(text: SnapshotText): MappedManifest {
  return { kind: 'index', children: Array.from({ length: text.number() }, () => ({ digest: text.digest(), platform: JSON.parse(text.text()) })) };
}

function readImage(text: SnapshotText, { layers }: MapTables): MappedImage {
  const view = text.number();
  const numbers = Array.from({ length: text.number() }, () => text.number());
  const own = new Map<number, LayerDescription>();
  for (let left = text.number(); left > 0; left -= 1) own.set(text.number(), { diffId: text.digest(), sizeBytes: text.number() });
  return new MappedImage(layers, { layers: numbers, own: own.size === 0 ? undefined : own, view: view === 0 ? undefined : view - 1 });
}
