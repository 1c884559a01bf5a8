import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { readSnapshot, SnapshotError, type SnapshotFault, type SnapshotHeader, writeSnapshot } from './map-snapshot.js';
import type { MapRow } from './map-row.js';
import { ReplicaMap } from './replica-map.js';
import { digestNamed, expandedRow, imageRow, viewedRows } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const HEADER: SnapshotHeader = { origin: 'here', asOf: NOW, position: { transaction: '7', sequence: '9' } };
const WANTED = { origin: 'here', now: new Date(NOW.getTime() + 5000), ageMaxMs: 10_000 };

function written(rows: Iterable<MapRow>, header = HEADER): Buffer {
  const map = new ReplicaMap();
  for (const row of rows) map.put(row);
  return Buffer.concat([...writeSnapshot(map, header)]);
}

async function read(bytes: Buffer, wanted: Partial<typeof WANTED> = {}): Promise<{ map: ReplicaMap; header: SnapshotHeader }> {
  let at = 0;
  const map = new ReplicaMap();
  const header = await readSnapshot((length) => Promise.resolve(bytes.subarray(at, (at += length))), map, { ...WANTED, ...wanted });
  return { map, header };
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

const sorted = (map: ReplicaMap): string[] => [...map.rows()].map((row) => JSON.stringify(row)).toSorted();
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
      { numRuns: 200 },
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
    newer.writeUInt16LE(3, 6);
    expect(await faultOf(newer)).toBe('SNAPSHOT_VERSION');
    expect(await faultOf(Buffer.from('something else entirely'))).toBe('SNAPSHOT_FOREIGN');
    expect(await faultOf(bytes, { origin: 'there' })).toBe('SNAPSHOT_FOREIGN');
    expect(await faultOf(bytes, { now: new Date(NOW.getTime() + 10_001) })).toBe('SNAPSHOT_STALE');
    expect(await faultOf(bytes, { now: new Date(NOW.getTime() - 1) })).toBe('SNAPSHOT_STALE');
  });

  it('is whole also when the map changes while it is written', async () => {
    const map = new ReplicaMap();
    for (let n = 0; n < 3000; n += 1) map.put(expandedRow(`layer ${n}`));
    const frames: Buffer[] = [];
    for (const frame of writeSnapshot(map, HEADER)) {
      frames.push(frame);
      map.removeLayer(digestNamed(`layer ${2999 - frames.length}`));
      map.put({ topic: 'replica', layer: digestNamed(`late ${frames.length}`), share: `share-${frames.length}`, state: 'ready' });
    }
    const { map: back } = await read(Buffer.concat(frames));
    expect(back.counts.layers).toBeGreaterThan(2900);
  });
});
