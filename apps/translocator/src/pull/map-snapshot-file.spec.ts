import { copyFile, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { MapFeeder } from '#mounts';
import { digestNamed, expandedRow, MemoryMapSource } from '#mounts/testing';

import { MapSnapshotFile, SNAPSHOT_EVERY_MS, SNAPSHOT_WANTED_MS, type SnapshotReport } from './map-snapshot-file.js';

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

function openFile(source: MemoryMapSource, clock: ManualClock, options: { origin?: string; bytesMax?: number; speaker?: () => string } = {}): Opened {
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

  it('tells who spoke for it, wherever it was moved to, and is refused where it was copied', async () => {
    const { source, clock, feeder, path } = await filled();
    const speaking = openFile(source, clock, { speaker: () => 'a process' });
    await speaking.feeder.poll();
    await speaking.file.stop();
    expect(speaking.file.onDisk).toMatchObject({ kind: 'held', knownTo: feeder.held?.position });
    await rename(path, `${path}.moved`);
    await rename(`${path}.moved`, path);
    const again = openFile(source, clock);
    await again.file.restore();
    expect([again.file.speaker, again.file.onDisk]).toMatchObject(['a process', { kind: 'held', knownTo: feeder.held?.position, loads: 0 }]);
    await copyFile(path, `${path}.copied`);
    await rename(`${path}.copied`, path);
    const elsewhere = openFile(source, clock);
    await elsewhere.file.restore();
    expect(elsewhere.reports).toMatchObject([{ kind: 'refused', error: { code: 'SNAPSHOT_FOREIGN' } }]);
    expect([elsewhere.file.speaker, elsewhere.file.onDisk]).toEqual([undefined, { kind: 'unknown' }]);
  });

  it('is none where none was, is of any age where one was refused, until it is written, and then as old as its map', async () => {
    const { source, clock, file, path } = await filled();
    await file.restore();
    expect(file.onDisk).toEqual({ kind: 'none' });
    await file.stop();
    await clock.advance(600_001);
    const next = openFile(source, clock);
    await next.file.restore();
    expect(next.file.onDisk).toEqual({ kind: 'unknown' });
    await next.feeder.poll();
    source.write({ topic: 'replica', layer: digestNamed('a'), share: 'east', state: 'draining' });
    await next.feeder.poll();
    await next.file.stop();
    expect(next.file.onDisk).toEqual({ kind: 'held', knownTo: 2, loads: 1, withdrawals: 1 });
    const full = openFile(source, clock, { bytesMax: 10 });
    await rm(path);
    await full.feeder.poll();
    await full.file.stop();
    expect([full.reports, full.file.onDisk]).toMatchObject([[{ kind: 'failed' }], { kind: 'none' }]);
  });

  it('is what a start would find from the moment its first writing begins', async () => {
    const { source, clock, file, feeder } = await filled();
    file.start();
    await clock.advance(SNAPSHOT_WANTED_MS);
    expect(file.onDisk).toEqual({ kind: 'none' });
    file.want();
    await expect.poll(() => file.onDisk).toMatchObject({ kind: 'held', knownTo: 1 });
    source.tell('tag', ['team/app', 'v1']);
    await feeder.poll();
    expect(file.onDisk).toMatchObject({ kind: 'held', knownTo: 1 });
    const stopped = file.stop();
    await clock.advance(1000);
    await stopped;
    expect(file.onDisk).toMatchObject({ kind: 'held', knownTo: 2 });
  });

  it('is written soon where it is wanted, and not before its rest is over', async () => {
    const { clock, file, reports } = await filled();
    file.start();
    file.want();
    await clock.advance(SNAPSHOT_WANTED_MS - 1);
    expect(clock.sleeperCount).toBe(1);
    await clock.advance(1);
    await expect.poll(() => file.onDisk.kind).toBe('held');
    const stopped = file.stop();
    await clock.advance(1000);
    await stopped;
    expect(reports.at(-1)?.kind).toBe('written');
  });
});
