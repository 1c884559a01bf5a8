import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { MapFeeder } from '#mounts';
import { digestNamed, expandedRow, MemoryMapSource } from '#mounts/testing';

import { MapSnapshotFile, SNAPSHOT_EVERY_MS, type SnapshotReport } from './map-snapshot-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-snapshot-'));
});
afterEach(() => rm(folder, { recursive: true }));

interface Opened {
  readonly file: MapSnapshotFile;
  readonly feeder: MapFeeder;
  readonly reports: SnapshotReport[];
  readonly path: string;
}

function openFile(source: MemoryMapSource, clock: ManualClock, options: { origin?: string; bytesMax?: number } = {}): Opened {
  const feeder = new MapFeeder({ source, clock });
  const reports: SnapshotReport[] = [];
  const path = join(folder, 'state', 'map.snapshot');
  const { origin = 'here', ...bounds } = options;
  return { feeder, reports, path, file: new MapSnapshotFile({ path, origin, feeder, clock, ageMaxMs: 600_000, onReport: (report) => reports.push(report), ...bounds }) };
}

async function filled(): Promise<{ source: MemoryMapSource; clock: ManualClock } & Opened> {
  const [source, clock] = [new MemoryMapSource(), new ManualClock('2026-03-01T12:00:00.000Z')];
  source.write(expandedRow('a'));
  const opened = openFile(source, clock);
  await opened.feeder.poll();
  return { source, clock, ...opened };
}

describe('the snapshot of the map on disk', () => {
  it('is written when the process stops, for its owner alone, and answers with its own age after a start', async () => {
    const { source, clock, file, path, reports } = await filled();
    const asOf = clock.now();
    await file.stop();
    expect(reports).toMatchObject([{ kind: 'written', sizeBytes: (await stat(path)).size }]);
    expect([(await stat(path)).mode & 0o777, await readdir(join(folder, 'state'))]).toEqual([0o600, ['map.snapshot']]);
    await clock.advance(60_000);
    const again = openFile(source, clock);
    await again.file.restore();
    expect(again.reports).toMatchObject([{ kind: 'read', asOf }]);
    expect(again.feeder.map.asOf).toEqual(asOf);
    expect(again.feeder.map.layer(digestNamed('a'))?.expansion?.state).toBe('expanded');
  });

  it('is followed up from its place in the feed, without loading anything', async () => {
    const { source, clock, file } = await filled();
    await file.stop();
    source.write(expandedRow('b'));
    source.delete('layer', [digestNamed('a')]);
    const again = openFile(source, clock);
    await again.file.restore();
    source.before = (call) => {
      if (call === 'load') throw new Error('everything is loaded anew');
    };
    await again.feeder.poll();
    expect([again.feeder.map.layer(digestNamed('a')), again.feeder.map.layer(digestNamed('b'))?.expansion?.state]).toEqual([undefined, 'expanded']);
  });

  it('is refused, and said so, when it is torn, foreign, too old or not there; the map is then loaded', async () => {
    const { source, clock, file, path } = await filled();
    const refusalOf = async (opened: Opened): Promise<string> => {
      await opened.file.restore();
      const [report] = opened.reports;
      expect(opened.feeder.map.asOf).toBeUndefined();
      return report?.kind === 'refused' ? ((report.error as { code?: string }).code ?? 'without code') : 'not refused';
    };
    expect(await refusalOf(openFile(source, clock))).toBe('ENOENT');
    await file.stop();
    expect(await refusalOf(openFile(source, clock, { origin: 'there' }))).toBe('SNAPSHOT_FOREIGN');
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 3));
    expect(await refusalOf(openFile(source, clock))).toBe('SNAPSHOT_TORN');
    expect(await refusalOf(openFile(source, clock, { bytesMax: 10 }))).toBe('SNAPSHOT_FOREIGN');
    await writeFile(path, whole);
    await clock.advance(600_001);
    const old = openFile(source, clock);
    expect(await refusalOf(old)).toBe('SNAPSHOT_STALE');
    await old.feeder.poll();
    expect(old.feeder.map.counts.layers).toBe(1);
  });

  it('stays as it was when the next one cannot be written', async () => {
    const { source, clock, file, path } = await filled();
    await file.stop();
    const before = await readFile(path);
    for (let n = 0; n < 100; n += 1) source.write(expandedRow(`layer ${n}`));
    const larger = openFile(source, clock, { bytesMax: before.length + 100 });
    await larger.feeder.poll();
    await larger.file.stop();
    expect(larger.reports).toMatchObject([{ kind: 'failed' }]);
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(join(folder, 'state'))).toEqual(['map.snapshot']);
  });

  it('is written now and then, and nothing is while no map was loaded', async () => {
    const [source, clock] = [new MemoryMapSource(), new ManualClock()];
    const { file, feeder, reports } = openFile(source, clock);
    file.start();
    await clock.advance(SNAPSHOT_EVERY_MS);
    expect(reports).toEqual([]);
    await feeder.poll();
    await clock.advance(SNAPSHOT_EVERY_MS);
    const stopped = file.stop();
    await clock.advance(1000);
    await stopped;
    expect(reports.at(-1)?.kind).toBe('written');
  });
});
