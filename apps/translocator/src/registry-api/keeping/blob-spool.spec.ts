import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { digestOf } from '#oci';
import { KiB, MiB, MINUTE_MS } from '#quantities';

import { BlobSpool, OTHERS_FIRST_MAX_MS, type SpoolLimits } from './blob-spool.js';
import { SPOOL_PENDING_BYTES_MAX, type SpooledBlob } from './spooled-blob.js';

const never = new AbortController().signal;
let folder: string;
let clock: ManualClock;
let failures: string[];
let opened: SpooledBlob[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'translocator-spool-'));
  clock = new ManualClock();
  failures = [];
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((blob) => blob.discard()));
  await rm(folder, { recursive: true, force: true });
});

function spool(limits: Partial<SpoolLimits> = {}, at = folder): BlobSpool {
  return new BlobSpool({ folder: at, clock, limits: { bytesMax: 1e9, memoryBytesMax: 0, blobsMax: 10, ageMaxMs: MINUTE_MS, ...limits }, onWhole: () => undefined, onFailure: (_blob, failure) => failures.push(failure) });
}
function open(into: BlobSpool, name: string, sizeBytes: number): SpooledBlob {
  const blob = into.open({ digest: digestOf(name), repository: 'team/app', sizeBytes });
  if (typeof blob === 'string') throw new Error(blob);
  opened.push(blob);
  return blob;
}
async function readAll(blob: SpooledBlob): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of blob.chunks(never)) parts.push(part);
  return Buffer.concat(parts);
}

describe('a spool', () => {
  it('gives back what passed, in the order in which it came whole, and no file has a name meanwhile', async () => {
    const all = spool();
    const contents = Buffer.concat([Buffer.alloc(700 * KiB, 'a'), Buffer.alloc(500 * KiB, 'b')]);
    const [large, small] = [open(all, 'large', contents.length), open(all, 'small', 3)];
    for (let at = 0; at < contents.length; at += 64 * KiB) large.take(contents.subarray(at, at + 64 * KiB));
    small.take(Buffer.from('abc'));
    await small.end(true);
    await large.end(true);
    expect([all.takeWhole(), all.takeWhole(), all.takeWhole()]).toEqual([small, large, undefined]);
    expect(await readdir(folder)).toEqual([]);
    expect((await readAll(large)).equals(contents)).toBe(true);
    expect(all.bytes).toBe(contents.length + 3);
    await Promise.all([small.discard(), large.discard()]);
    expect(all.bytes).toBe(0);
  });

  it('keeps in memory what there is room for, without touching the disk, and gives that room back as it is read', async () => {
    await writeFile(join(folder, 'a file'), '');
    const all = spool({ memoryBytesMax: 100 }, join(folder, 'a file', 'below'));
    const [first, second, third] = [open(all, 'first', 60), open(all, 'second', 40), open(all, 'third', 1)];
    for (let n = 0; n < 6; n += 1) first.take(Buffer.alloc(10, n));
    second.take(Buffer.alloc(40));
    await first.end(true);
    await second.end(true);
    expect([all.memoryBytes, failures]).toEqual([100, []]);
    // One byte more is for the disk, which is none here.
    third.take(Buffer.alloc(1));
    await third.end(true);
    await third.discard();
    expect([all.memoryBytes, failures]).toEqual([100, ['SPOOL_FAILED']]);
    expect(all.takeWhole()).toBe(first);
    const parts = first.chunks(never);
    expect((await parts.next()).value).toEqual(Buffer.alloc(10, 0));
    expect(all.memoryBytes).toBe(90);
    await parts.return();
    await Promise.all([first.discard(), second.discard()]);
    expect(all.memoryBytes).toBe(0);
  });

  it('writes no more than there is no room for, and gives all of it back in order', async () => {
    const all = spool({ memoryBytesMax: 3 * MiB });
    const contents = Buffer.concat(Array.from({ length: 160 }, (_, n) => Buffer.alloc(64 * KiB, n)));
    const blob = open(all, 'large', contents.length);
    for (let at = 0; at < contents.length; at += 64 * KiB) {
      blob.take(contents.subarray(at, at + 64 * KiB));
      if (at % MiB === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await blob.end(true);
    expect(all.memoryBytes).toBeLessThanOrEqual(3 * MiB);
    expect(all.memoryBytes).toBeGreaterThan(MiB);
    expect((await readAll(blob)).equals(contents)).toBe(true);
    expect(all.memoryBytes).toBe(0);
  });

  it('lets what is on its way come first, but not for ever', async () => {
    const all = spool();
    const [first, second, third] = [open(all, 'first', 1), open(all, 'second', 1), open(all, 'third', 1)];
    first.take(Buffer.alloc(1));
    await first.end(true);
    expect(all.takeWhole()).toBeUndefined();
    await clock.advance(OTHERS_FIRST_MAX_MS);
    expect(all.takeWhole()).toBe(first);
    second.take(Buffer.alloc(1));
    await second.end(true);
    expect(all.takeWhole()).toBeUndefined();
    await third.end(false);
    await third.discard();
    expect(all.takeWhole()).toBe(second);
  });

  it('refuses what does not fit, by bytes or number, and what is on its way already', async () => {
    const all = spool({ bytesMax: 100, blobsMax: 2 });
    const first = open(all, 'a', 60);
    expect(all.open({ digest: digestOf('a'), repository: 'team/other', sizeBytes: 1 })).toBe('ON_ITS_WAY');
    expect(all.open({ digest: digestOf('b'), repository: 'team/app', sizeBytes: 41 })).toBe('SPOOL_FULL');
    open(all, 'b', 40);
    expect(all.open({ digest: digestOf('c'), repository: 'team/app', sizeBytes: 0 })).toBe('SPOOL_FULL');
    await first.discard();
    open(all, 'a', 60);
  });

  it.each<[string, (blob: SpooledBlob) => Promise<void>]>([
    ['ends early', (blob) => blob.end(true)],
    ['does not reach the client whole', async (blob) => (blob.take(Buffer.alloc(10)), blob.end(false))],
    ['is longer than its answer says', async (blob) => (blob.take(Buffer.alloc(11)), blob.end(true))],
  ])('gives up a blob that %s', async (_what, pass) => {
    const all = spool();
    const blob = open(all, 'a', 10);
    await pass(blob);
    await blob.discard();
    expect([failures, all.bytes, all.takeWhole()]).toEqual([['CUT'], 0, undefined]);
  });

  it('gives up a blob that comes faster than the disk takes it, and does not wait for the disk', async () => {
    const all = spool();
    const blob = open(all, 'a', 2 * SPOOL_PENDING_BYTES_MAX);
    for (let n = 0; n <= 16; n += 1) blob.take(Buffer.alloc(SPOOL_PENDING_BYTES_MAX / 16));
    expect(failures).toEqual(['SPOOL_SLOW']);
    blob.take(Buffer.alloc(1));
    await blob.discard();
    expect([failures, all.bytes]).toEqual([['SPOOL_SLOW'], 0]);
    // What waited in memory waits no more.
    const next = open(all, 'b', SPOOL_PENDING_BYTES_MAX);
    next.take(Buffer.alloc(SPOOL_PENDING_BYTES_MAX));
    await next.end(true);
    expect(all.takeWhole()).toBe(next);
    await next.discard();
  });

  it('gives up what a slow registry has not sent in time, and what nobody took in time', async () => {
    const all = spool();
    const [slow, waiting, taken] = [open(all, 'slow', 10), open(all, 'waiting', 1), open(all, 'taken', 1)];
    slow.take(Buffer.alloc(5));
    for (const blob of [taken, waiting]) {
      blob.take(Buffer.alloc(1));
      await blob.end(true);
    }
    await clock.advance(OTHERS_FIRST_MAX_MS);
    expect(all.takeWhole()).toBe(taken);
    await clock.advance(MINUTE_MS - OTHERS_FIRST_MAX_MS);
    await Promise.all([slow.discard(), waiting.discard()]);
    expect([failures, all.bytes, all.takeWhole()]).toEqual([['TOO_SLOW', 'TOO_SLOW'], 1, undefined]);
    expect((await readAll(taken)).length).toBe(1);
  });

  it('gives up a blob when the disk refuses it', async () => {
    await writeFile(join(folder, 'a file'), '');
    const all = spool({}, join(folder, 'a file', 'below'));
    const blob = open(all, 'a', 1);
    blob.take(Buffer.alloc(1));
    await blob.end(true);
    await blob.discard();
    expect([failures, all.bytes]).toEqual([['SPOOL_FAILED'], 0]);
  });

  it('that stops gives up what nobody has taken, takes nothing more, and leaves what is being read', async () => {
    const all = spool();
    const [taken, passing] = [open(all, 'taken', 1), open(all, 'passing', 1)];
    taken.take(Buffer.from('x'));
    await taken.end(true);
    await clock.advance(OTHERS_FIRST_MAX_MS);
    expect(all.takeWhole()).toBe(taken);
    await all.stop();
    passing.take(Buffer.alloc(1));
    expect([failures, all.bytes]).toEqual([['STOPPED'], 1]);
    expect(all.open({ digest: digestOf('new'), repository: 'team/app', sizeBytes: 1 })).toBe('SPOOL_FULL');
    expect((await readAll(taken)).toString()).toBe('x');
    expect(clock.sleeperCount).toBe(0);
  });
});
