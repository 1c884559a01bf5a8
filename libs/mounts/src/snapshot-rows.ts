import { type ImageRow, type LayerReplicasRow, type LayerRow, type LoadedRow, MAP_TOPICS, type ManifestContent, REPLICA_STATES, type ReplicaRow } from './map-row.js';
import type { SnapshotText } from './snapshot-text.js';

/** Kinds of rows by their numbers. */
const KINDS = [...MAP_TOPICS, 'replicas'] as const;
const LAYER_STATES = ['wanted', 'expanding', 'expanded', 'refused'] as const;

/** Writes one row of any kind: the number of its kind, then its fields in the order of its type. */
export function writeRow(text: SnapshotText, row: LoadedRow): void {
  text.putNumber(KINDS.indexOf(row.topic));
  switch (row.topic) {
    case 'repository':
      text.putText(row.name);
      text.putNumber(row.enabled ? 1 : 0);
      return;
    case 'tag':
      text.putText(row.repository);
      text.putText(row.tag);
      text.putDigest(row.digest);
      return;
    case 'layer':
      writeLayer(text, row);
      return;
    case 'image':
      text.putText(row.repository);
      text.putDigest(row.digest);
      writeContent(text, row.content);
      return;
    case 'replica':
      text.putDigest(row.layer);
      writeReplica(text, row);
      return;
    case 'replicas':
      text.putDigest(row.layer);
      text.putNumber(row.replicas.length);
      for (const replica of row.replicas) writeReplica(text, replica);
  }
}

/** Reads what {@link writeRow} wrote. */
export function readRow(text: SnapshotText): LoadedRow {
  const topic = KINDS[text.number()];
  if (topic === undefined) throw new Error('a row of no kind: the bytes were checked, so their writer is wrong');
  switch (topic) {
    case 'repository':
      return { topic, name: text.text(), enabled: text.number() === 1 };
    case 'tag':
      return { topic, repository: text.text(), tag: text.text(), digest: text.digest() };
    case 'layer':
      return readLayer(text);
    case 'image':
      return { topic, repository: text.text(), digest: text.digest(), content: readContent(text) };
    case 'replica':
      return { topic, layer: text.digest(), ...readReplica(text) };
    case 'replicas':
      return { topic, layer: text.digest(), replicas: Array.from({ length: text.number() }, () => readReplica(text)) };
  }
}

function writeReplica(text: SnapshotText, { share, state }: LayerReplicasRow['replicas'][number]): void {
  text.putName(share);
  text.putNumber(REPLICA_STATES.indexOf(state));
}

function readReplica(text: SnapshotText): LayerReplicasRow['replicas'][number] {
  return { share: text.name(), state: REPLICA_STATES[text.number()] as ReplicaRow['state'] };
}

function writeLayer(text: SnapshotText, row: LayerRow): void {
  text.putDigest(row.digest);
  text.putNumber(LAYER_STATES.indexOf(row.state));
  switch (row.state) {
    case 'wanted':
      text.putNumber(row.since.getTime());
      return;
    case 'expanding':
      text.putNumber(row.since.getTime());
      text.putNumber((row.doneBytes ?? -1) + 1);
      return;
    case 'refused':
      text.putText(row.refusal);
      return;
    case 'expanded':
      text.putNumber((row.diffId === undefined ? 0 : 1) + (row.verity === undefined ? 0 : 2));
      if (row.diffId !== undefined) text.putDigest(row.diffId);
      text.putNumber(row.writerVersion);
      text.putDigest(row.vhd.digest);
      text.putNumber(row.vhd.sizeBytes);
      if (row.verity === undefined) return;
      text.putHash(row.verity.rootHash);
      text.putNumber(row.verity.hashOffset);
  }
}

function readLayer(text: SnapshotText): LayerRow {
  const layer = { topic: 'layer', digest: text.digest() } as const;
  const state = LAYER_STATES[text.number()];
  if (state === undefined) throw new Error('a layer in no state: the bytes were checked, so their writer is wrong');
  switch (state) {
    case 'wanted':
      return { ...layer, state, since: new Date(text.number()) };
    case 'expanding': {
      const [since, done] = [new Date(text.number()), text.number()];
      return { ...layer, state, since, doneBytes: done === 0 ? undefined : done - 1 };
    }
    case 'refused':
      return { ...layer, state, refusal: text.text() };
    case 'expanded': {
      const has = text.number();
      const diffId = has % 2 === 1 ? text.digest() : undefined;
      const [writerVersion, vhd] = [text.number(), { digest: text.digest(), sizeBytes: text.number() }];
      return { ...layer, state, diffId, writerVersion, vhd, verity: has >= 2 ? { rootHash: text.hash(), hashOffset: text.number() } : undefined };
    }
  }
}

function writeContent(text: SnapshotText, content: ImageRow['content']): void {
  if (content.kind === 'index') {
    text.putNumber(0);
    text.putNumber(content.children.length);
    for (const { digest, platform } of content.children) {
      text.putDigest(digest);
      text.putText(JSON.stringify(platform));
    }
    return;
  }
  text.putNumber(content.view === undefined ? 1 : 2);
  if (content.view !== undefined) text.putDigest(content.view);
  text.putNumber(content.layers.length);
  for (const { digest, diffId, sizeBytes } of content.layers) {
    text.putDigest(digest);
    text.putDigest(diffId);
    text.putNumber(sizeBytes);
  }
}

function readContent(text: SnapshotText): ManifestContent {
  const kind = text.number();
  const many = <Each>(read: () => Each): Each[] => Array.from({ length: text.number() }, read);
  if (kind === 0) return { kind: 'index', children: many(() => ({ digest: text.digest(), platform: JSON.parse(text.text()) })) };
  const view = kind === 2 ? text.digest() : undefined;
  return { kind: 'image', view, layers: many(() => ({ digest: text.digest(), diffId: text.digest(), sizeBytes: text.number() })) };
}
