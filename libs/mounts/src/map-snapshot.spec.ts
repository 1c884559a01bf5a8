import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { readSnapshot, SNAPSHOT_VERSION, SnapshotError, type SnapshotFault, type SnapshotHeader, writeSnapshot } from './map-snapshot.js';
import { keyOf, type MapRow } from './map-row.js';
import { ReplicaMap } from './replica-map.js';
import { digestNamed, expandedRow, imageRow, rowsOfMap, viewedRows } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const HEADER: SnapshotHeader = { origin: 'here', asOf: NOW, position: { transaction: '7', sequence: '9' }, knownTo: { transaction: '8', sequence: '9' }, speaker: 'a process', file: '11' };
const WANTED = { origin: 'here', now: new Date(NOW.getTime() + 5000), ageMaxMs: 10_000 };

function written(rows: Iterable<MapRow>, header = HEADER): Buffer {
  const map = new ReplicaMap();
  for (const row of rows) map.put(row);
  return Buffer.concat([...writeSnapshot(map, header)]);
}

async function read(bytes: Buffer, wanted: Partial<typeof WANTED> = {}): Promise<{ map: ReplicaMap; header: SnapshotHeader }> {
  let at = 0;
  return readSnapshot((length) => Promise.resolve(bytes.subarray(at, (at += length))), { ...WANTED, ...wanted });
}

async function faultOf(bytes: Buffer, wanted: Partial<typeof WANTED> = {}): Promise<SnapshotFault | 'none'> {
  try {
    await read(bytes, wanted);
    return 'none';
  } catch (error) {
    if (error instanceof SnapshotError) return error.code;
    throw error;
  }
}

/** Each replica as a row of its own, so that it does not matter in which order shares were first heard of. */
function rowsOf(map: ReplicaMap): MapRow[] {
  return [...rowsOfMap(map)].flatMap((row): MapRow[] => (row.topic === 'replicas' ? row.replicas.map((replica) => ({ topic: 'replica', layer: row.layer, ...replica })) : [row]));
}
const sorted = (map: ReplicaMap): string[] => rowsOf(map).map((row) => JSON.stringify(row)).toSorted();
const name = fc.constantFrom('a', 'b', 'c', 'd');
const anyRow: fc.Arbitrary<MapRow> = fc.oneof(
  fc.record({ topic: fc.constant('repository' as const), name: fc.constantFrom('app', 'équipe'), enabled: fc.boolean() }),
  name.map((tag) => ({ topic: 'tag' as const, repository: 'app', tag, digest: digestNamed(tag) })),
  name.map(expandedRow),
  fc.tuple(name, fc.nat(2 ** 40)).map(([layer, ms]): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: 'wanted', since: new Date(ms) })),
  fc.tuple(name, fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 }), { nil: undefined })).map(([layer, doneBytes]): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: 'expanding', since: NOW, doneBytes })),
  name.map((layer): MapRow => ({ topic: 'layer', digest: digestNamed(layer), state: 'refused', refusal: 'TAR_INVALID' })),
  fc.tuple(name, fc.array(name, { maxLength: 4 })).map(([image, layers]) => imageRow('app', image, layers)),
  name.map((image) => viewedRows('app', image, ['a', 'b'])[0]),
  name.map((index): MapRow => ({ topic: 'image', repository: 'app', digest: digestNamed(`index ${index}`), content: { kind: 'index', children: [{ digest: digestNamed(index), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }] } })),
  fc.record({ topic: fc.constant('replica' as const), layer: name.map(digestNamed), share: fc.constantFrom('east', 'west', 'home'), state: fc.constantFrom('wanted' as const, 'copying' as const, 'ready' as const, 'draining' as const) }),
);

describe('a snapshot of a map', () => {
  it('is read as the map that it was written from, whatever that holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { maxLength: 40 }), async (rows) => {
        const map = new ReplicaMap();
        rows.forEach((row) => map.put(row));
        const back = await read(Buffer.concat([...writeSnapshot(map, HEADER)]));
        expect(sorted(back.map)).toEqual(sorted(map));
        expect(back.map.counts).toEqual(map.counts);
        expect(back.header).toEqual(HEADER);
        expect(back.map.asOf).toEqual(NOW);
      }),
      { numRuns: 60 },
    );
  });

  it('is refused when any of its bytes is another, or missing, or one too few', async () => {
    const bytes = written([expandedRow('a'), imageRow('app', 'i', ['a']), { topic: 'replica', layer: digestNamed('a'), share: 'east', state: 'ready' }]);
    expect(await faultOf(bytes)).toBe('none');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 0x10;
      expect(await faultOf(changed)).not.toBe('none');
      expect(await faultOf(bytes.subarray(0, at))).not.toBe('none');
    }
  });

  it('is refused when a frame is missing between others', async () => {
    const map = new ReplicaMap();
    for (let n = 0; n < 3000; n += 1) map.put(expandedRow(`layer ${n}`));
    const frames = [...writeSnapshot(map, HEADER)];
    expect(frames.length).toBeGreaterThan(5);
    expect(await faultOf(Buffer.concat(frames))).toBe('none');
    expect(await faultOf(Buffer.concat(frames.toSpliced(3, 1)))).toBe('SNAPSHOT_TORN');
  });

  it('is refused when it is of another form, another deployment, too old, or from the future', async () => {
    const bytes = written([expandedRow('a')]);
    const newer = Buffer.from(bytes);
    newer.writeUInt16LE(SNAPSHOT_VERSION + 1, 6);
    expect(await faultOf(newer)).toBe('SNAPSHOT_VERSION');
    const older = Buffer.from(bytes);
    older.writeUInt16LE(2, 6);
    expect(await faultOf(older)).toBe('SNAPSHOT_VERSION');
    expect(await faultOf(Buffer.from('something else entirely'))).toBe('SNAPSHOT_FOREIGN');
    expect(await faultOf(bytes, { origin: 'there' })).toBe('SNAPSHOT_FOREIGN');
    expect(await faultOf(bytes, { now: new Date(NOW.getTime() + 10_001) })).toBe('SNAPSHOT_STALE');
    expect(await faultOf(bytes, { now: new Date(NOW.getTime() - 1) })).toBe('SNAPSHOT_STALE');
  });

  it('is, followed up, the map that it was written from, whatever changed while it was written; before that, nothing in it is mixed of different rows', async () => {
    const anyStep = fc.tuple(anyRow, fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { maxLength: 30 }), fc.array(fc.array(anyStep, { maxLength: 8 }), { minLength: 5, maxLength: 5 }), fc.array(anyStep, { maxLength: 20 }), async (rows, turns, later) => {
        const map = new ReplicaMap();
        const said = new Set<string>();
        const note = (): void => sorted(map).forEach((row) => said.add(row));
        rows.forEach((row) => map.put(row));
        note();
        const changed = new Map<string, MapRow>();
        const frames: Buffer[] = [];
        for (const frame of writeSnapshot(map, HEADER)) {
          frames.push(frame);
          for (const [row, isGone] of turns[frames.length - 2] ?? []) {
            step(map, row, isGone);
            note();
            changed.set(JSON.stringify([row.topic, ...keyOf(row)]), row);
          }
        }
        const { map: back } = await read(Buffer.concat(frames));
        expect(sorted(back).filter((row) => !said.has(row))).toEqual([]);
        const now = new Map(rowsOf(map).map((row) => [JSON.stringify([row.topic, ...keyOf(row)]), row]));
        for (const [key, row] of changed) step(back, now.get(key) ?? row, !now.has(key));
        expect(sorted(back)).toEqual(sorted(map));
        // It also goes on as that one does.
        for (const [row, isGone] of later) {
          step(map, row, isGone);
          step(back, row, isGone);
        }
        expect([sorted(back), back.counts]).toEqual([sorted(map), map.counts]);
      }),
      { numRuns: 150 },
    );
  });

  it('keeps a layer whose image goes while it is written, until it is written or given up', () => {
    const [map, whole, cut] = [new ReplicaMap(), imageRow('app', 'i', ['a', 'b']), imageRow('app', 'j', ['c'])];
    for (const end of ['written', 'given up'] as const) {
      [whole, cut].forEach((row) => map.put(row));
      const frames = writeSnapshot(map, HEADER);
      for (let count = 0; count < 3; count += 1) frames.next();
      [whole, cut].forEach((row) => map.remove('image', keyOf(row)));
      // Nobody finds what is only kept for the snapshot.
      expect([map.layer(digestNamed('a')), map.counts.layers]).toEqual([undefined, 0]);
      expect(map.tables.layers.digests.size).toBe(3);
      if (end === 'written') for (const _ of frames);
      else frames.return();
      expect(map.tables.layers.digests.size).toBe(0);
    }
  });

  it('is written in turns that are short, and in few bytes, however many layers and shares there are', async () => {
    const map = new ReplicaMap();
    for (let n = 0; n < 3000; n += 1) map.put(expandedRow(`layer ${n}`));
    for (let n = 0; n < 1500; n += 1) map.put({ topic: 'replica', layer: digestNamed(`layer ${n * 2}`), share: `share-${n}`, state: 'ready' });
    const frames = [...writeSnapshot(map, HEADER)];
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThan(300_000);
    const { map: back } = await read(Buffer.concat(frames));
    expect(sorted(back)).toEqual(sorted(map));
  });
});

function step(map: ReplicaMap, row: MapRow, isGone: boolean): void {
  if (isGone) map.remove(row.topic, keyOf(row));
  else map.put(row);
}
