import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { FileSASPermissions, generateFileSASQueryParameters, type ShareClient, StorageSharedKeyCredential } from '@azure/storage-file-share';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { MiB } from '#quantities';

import { sendRaw } from '../testing/raw-request.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';
import { copiedCrc64 } from '../testing/tested-sdk.js';
import { Disturbances } from './disturbances.js';
import { disturbanceProblems } from './disturbance-problems.js';
import { TokenBucket } from './token-bucket.js';

let emulator: TemporaryEmulator;
let share: ShareClient;
let theirs: ShareClient;
const signAs = { account: 'acct1', key: TEST_KEY };

beforeAll(async () => {
  const accounts = [{ name: 'acct1', key: TEST_KEY, region: 'eastus' }, { name: 'acct2', key: TEST_KEY, region: 'japaneast' }];
  emulator = await startTemporaryEmulator([], { accounts, controlPort: 0 });
  share = sdkClient(`${emulator.url}/acct1`).getShareClient('layers');
  theirs = sdkClient(`${emulator.url}/acct2`).getShareClient('layers');
  for (const one of [share, theirs]) {
    await one.create({ quota: 1 });
    await one.rootDirectoryClient.getFileClient('file').uploadData(Buffer.alloc(MiB, 'f'));
  }
});
afterEach(() => emulator.control.disturb({}));
afterAll(() => emulator.close());

const file = (): ReturnType<ShareClient['rootDirectoryClient']['getFileClient']> => share.rootDirectoryClient.getFileClient('file');

function signed(): string {
  const values = { shareName: 'layers', filePath: 'file', permissions: FileSASPermissions.parse('r'), expiresOn: new Date(Date.now() + 60_000) };
  return `${emulator.url}/acct2/layers/file?${generateFileSASQueryParameters(values, new StorageSharedKeyCredential('acct2', TEST_KEY)).toString()}`;
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Tries of {@link quickestMs}. */
const TRIES_MAX = 20;

/** The shortest time of some tries, which end when one took less than `enoughMs`: a machine that is busy with much else may be late, but not every time. */
async function quickestMs(enoughMs: number, work: () => Promise<unknown>): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES_MAX && quickest >= enoughMs; tries += 1) quickest = Math.min(quickest, await elapsedMs(work));
  return quickest;
}

describe('a token bucket', () => {
  it('lets no more through than its rate allows, in order', async () => {
    const clock = new ManualClock(new Date(1_000_000));
    const bucket = new TokenBucket(1000, clock);
    const through: number[] = [];
    const all = [100, 200, 300].map((count) => bucket.take(count).then(() => through.push(clock.now().getTime() - 1_000_000)));
    for (let step = 0; step < 70; step += 1) await clock.advance(10);
    await Promise.all(all);
    // What was saved up at the start is 20 ms worth.
    expect(through).toEqual([80, 280, 580]);
  });

  it('never gives more than rate times time and what it had saved', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }), async (counts) => {
      const clock = new ManualClock(new Date(0));
      const bucket = new TokenBucket(100, clock);
      let given = 0;
      const takes = counts.map((count) => bucket.take(count).then(() => (given += count)));
      for (let step = 0; step < 120; step += 1) {
        await clock.advance(100);
        expect(given).toBeLessThanOrEqual(clock.now().getTime() / 10 + 2);
      }
      await Promise.all(takes);
    }), { numRuns: 20 });
  });
});

describe('limits', () => {
  it('make an account or a share as far as they say, and no other', async () => {
    emulator.control.disturb({ limits: [{ account: 'acct1', latencyMs: 60 }, { account: 'acct1', share: 'layers', latencyMs: 40 }] });
    expect(await elapsedMs(() => file().getProperties())).toBeGreaterThanOrEqual(98);
    expect(await quickestMs(90, () => theirs.rootDirectoryClient.getFileClient('file').getProperties())).toBeLessThan(90);
  });

  it('make reading and writing as slow as they say, together', async () => {
    emulator.control.disturb({ limits: [{ account: 'acct1', bytesPerSecond: 10 * MiB }] });
    const both = await quickestMs(1500, () => Promise.all([file().downloadToBuffer(), share.rootDirectoryClient.getFileClient('other').uploadData(Buffer.alloc(MiB, 'o'))]));
    expect(both).toBeGreaterThanOrEqual(175);
    expect(both).toBeLessThan(1500);
  });

  it('refuse more requests than they allow, with the words of the real service', async () => {
    emulator.control.disturb({ limits: [{ account: 'acct1', requestsPerSecond: 3 }] });
    // So many that they are too many also when it takes seconds to send them.
    const answers = await Promise.all(Array.from({ length: 60 }, () => sendRaw({ method: 'HEAD', url: emulator.url, target: '/acct1/layers/file', signAs })));
    const busy = answers.filter(({ status }) => status === 503);
    expect(busy.length).toBeGreaterThanOrEqual(2);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3);
    expect(busy[0]).toMatchObject({ code: 'ServerBusy' });
  });
});

describe('links', () => {
  it('slow copies between two regions down, in their direction only', async () => {
    emulator.control.disturb({ links: [{ from: 'japaneast', to: 'eastus', latencyMs: 50, bytesPerSecond: 10 * MiB }] });
    const target = share.rootDirectoryClient.getFileClient('copied');
    await target.create(MiB);
    expect(await elapsedMs(() => target.uploadRangeFromURL(signed(), 0, 0, MiB))).toBeGreaterThanOrEqual(125);
    emulator.control.disturb({ links: [{ from: 'eastus', to: 'japaneast', latencyMs: 5000 }] });
    expect(await quickestMs(4000, () => target.uploadRangeFromURL(signed(), 0, 0, MiB))).toBeLessThan(4000);
  });

  it('are filled by parallel pieces', async () => {
    emulator.control.disturb({ links: [{ from: 'japaneast', to: 'eastus', latencyMs: 40, bytesPerSecond: 16 * MiB }] });
    const target = share.rootDirectoryClient.getFileClient('parallel');
    await target.create(8 * MiB);
    const ms = await quickestMs(1000, () => Promise.all(Array.from({ length: 8 }, (_, index) => target.uploadRangeFromURL(signed(), 0, index * MiB, MiB))));
    expect(ms).toBeGreaterThanOrEqual(500);
    expect(ms).toBeLessThan(1000);
  });
});

describe('faults', () => {
  it('answer busy or timed out, for the operations that they are limited to', async () => {
    emulator.control.disturb({ faults: [{ kind: 'server-busy', operation: 'Get File' }, { kind: 'timed-out', operation: 'Put Range' }] });
    await expect(file().download()).rejects.toMatchObject({ statusCode: 503, code: 'ServerBusy' });
    await expect(file().uploadRange('x', 0, 1)).rejects.toMatchObject({ statusCode: 500, code: 'OperationTimedOut' });
    expect((await file().getProperties()).contentLength).toBe(MiB);
    expect(emulator.control.struck).toMatchObject({ 'server-busy': expect.any(Number), 'timed-out': expect.any(Number) });
  });

  it('cut the body of an answer where they say', async () => {
    emulator.control.disturb({ faults: [{ kind: 'cut-body', afterBytes: 1000 }] });
    const received: Buffer[] = [];
    const { readableStreamBody } = await file().download();
    await expect((async () => {
      for await (const chunk of readableStreamBody! as AsyncIterable<Buffer>) received.push(chunk);
    })()).rejects.toBeInstanceOf(Error);
    expect(Buffer.concat(received).length).toBeLessThanOrEqual(1000);
  });

  it('cut a request in the middle of its body, and nothing of it is written', async () => {
    const target = share.rootDirectoryClient.getFileClient('cut');
    await target.create(MiB);
    emulator.control.disturb({ faults: [{ kind: 'cut-body' }] });
    await expect(target.uploadRange(Buffer.alloc(MiB, 'x'), 0, MiB)).rejects.toBeInstanceOf(Error);
    emulator.control.disturb({});
    expect((await target.getRangeList()).rangeList).toEqual([]);
  });

  it('change one byte of an answer, or of what is copied, where only checksums show it', async () => {
    emulator.control.disturb({ faults: [{ kind: 'flipped-byte', account: 'acct1' }] });
    const bytes = await file().downloadToBuffer();
    expect(bytes.filter((byte) => byte !== 'f'.charCodeAt(0))).toHaveLength(1);
    const target = share.rootDirectoryClient.getFileClient('flipped');
    await target.create(512);
    const flipped = copiedCrc64(await target.uploadRangeFromURL(signed(), 0, 0, 512));
    emulator.control.disturb({});
    expect(copiedCrc64(await target.uploadRangeFromURL(signed(), 0, 0, 512))).not.toBe(flipped);
  });

  it('change one byte of a write that its MD5 does not cover', async () => {
    const target = share.rootDirectoryClient.getFileClient('flipped-write');
    await target.create(100);
    emulator.control.disturb({ faults: [{ kind: 'flipped-byte', operation: 'Put Range' }] });
    await expect(target.uploadRange('x'.repeat(100), 0, 100, { contentChecksumAlgorithm: 'StorageCrc64' })).rejects.toMatchObject({ statusCode: 400 });
    await target.uploadRange('x'.repeat(100), 0, 100);
    expect((await target.downloadToBuffer()).filter((byte) => byte !== 'x'.charCodeAt(0))).toHaveLength(1);
  });

  it('let the signatures of sources run out', async () => {
    const target = share.rootDirectoryClient.getFileClient('expired');
    await target.create(512);
    emulator.control.disturb({ faults: [{ kind: 'source-expired' }] });
    const failure = await target.uploadRangeFromURL(signed(), 0, 0, 512).then(() => undefined, (error: unknown) => error as { response: { headers: { get(name: string): string } } });
    expect(failure).toMatchObject({ statusCode: 403, code: 'CannotVerifyCopySource' });
    expect(failure?.response.headers.get('x-ms-copy-source-error-code')).toBe('AuthenticationFailed');
  });

  it('let a share be full for everything that needs room', async () => {
    emulator.control.disturb({ faults: [{ kind: 'share-full', account: 'acct1', share: 'layers' }] });
    for (const change of [() => share.rootDirectoryClient.getFileClient('more').create(1), () => file().uploadRange('x', 0, 1), () => file().resize(2 * MiB), () => file().uploadRangeFromURL(signed(), 0, 0, 512)]) {
      await expect(change()).rejects.toMatchObject({ statusCode: 409, code: 'ShareSizeLimitReached' });
    }
    await theirs.rootDirectoryClient.getFileClient('more').create(1);
  });

  it('let the name of a deleted share be taken for a while', async () => {
    const brief = sdkClient(`${emulator.url}/acct1`).getShareClient('brief');
    await brief.create();
    emulator.control.disturb({ faults: [{ kind: 'slow-deletion', ms: 600_000 }] });
    await brief.delete();
    await expect(brief.create()).rejects.toMatchObject({ statusCode: 409, code: 'ShareBeingDeleted' });
    await expect(brief.getStatistics()).rejects.toMatchObject({ statusCode: 404, code: 'ShareNotFound' });
  });

  it('give the name of a deleted share free when that while is over', async () => {
    const brief = sdkClient(`${emulator.url}/acct1`).getShareClient('briefer');
    await brief.create();
    emulator.control.disturb({ faults: [{ kind: 'slow-deletion', ms: 200 }] });
    await brief.delete();
    await expect.poll(() => brief.create().then(() => 'created', (error: { code: string }) => error.code)).toBe('created');
  });

  it('strike at their rate, and the same ones again for the same seed', () => {
    const strikes = (seed: number): boolean[] => {
      const disturbances = new Disturbances({ seed, faults: [{ kind: 'server-busy', ratio: 0.2 }] });
      return Array.from({ length: 2000 }, () => disturbances.strike('server-busy', {}) !== undefined);
    };
    expect(strikes(7).filter(Boolean).length).toBeGreaterThan(320);
    expect(strikes(7).filter(Boolean).length).toBeLessThan(480);
    expect(strikes(7)).toEqual(strikes(7));
    expect(strikes(7)).not.toEqual(strikes(8));
  });

  it('that cannot be are refused with field, value and rule', () => {
    expect(disturbanceProblems({
      limits: [{ latencyMs: -1 }, { account: 'a' }], links: [{ from: 'a', to: 'a', bytesPerSecond: 0 }],
      faults: [{ kind: 'earthquake' as never }, { kind: 'cut-body', ratio: 2 }, { kind: 'server-busy', afterBytes: 5 }],
    })).toEqual([
      'limits[0].latencyMs: -1 is not a number from 0 to 600000',
      'limits[1]: limits nothing',
      'links[0].bytesPerSecond: 0 is not a number from 1 to 9007199254740991',
      'links[0]: from and to are both "a"',
      expect.stringContaining('faults[0].kind: "earthquake" is none of server-busy, timed-out'),
      'faults[1].ratio: 2 is not a number from 0 to 1',
      'faults[2].afterBytes: is for cut-body only',
    ]);
    expect(() => emulator.control.disturb({ limits: [{ latencyMs: -1 }] })).toThrow('limits[0].latencyMs');
  });
});

describe('the control port', () => {
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: unknown }> {
    const answer = await fetch(`${emulator.controlUrl}${path}`, { method, headers, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  it('sets, tells and ends limits and faults', async () => {
    const settings = { faults: [{ kind: 'server-busy', operation: 'Get File' }], seed: 5 };
    expect(await call('PUT', '/disturbances', settings)).toEqual({ status: 204, body: undefined });
    await expect(file().download()).rejects.toMatchObject({ code: 'ServerBusy' });
    expect(await call('GET', '/disturbances')).toMatchObject({ status: 200, body: { ...settings, struck: { 'server-busy': expect.any(Number) } } });
    expect((await call('DELETE', '/disturbances')).status).toBe(204);
    await file().download();
  });

  it('opens and closes handles, and damages files', async () => {
    const place = { account: 'acct1', share: 'layers', path: 'file' };
    const opened = await call('POST', '/handles', { ...place, clientName: 'node' });
    expect(opened).toMatchObject({ status: 201, body: { path: 'file', clientName: 'node', sharing: 'read' } });
    await expect(file().resize(1)).rejects.toMatchObject({ code: 'SharingViolation' });
    const closing = { account: 'acct1', share: 'layers', id: (opened.body as { id: string }).id };
    expect([(await call('DELETE', '/handles', closing)).status, (await call('DELETE', '/handles', closing)).status]).toEqual([204, 404]);
    expect((await call('POST', '/handles', { ...place, path: 'absent' })).status).toBe(404);
    const before = await file().getProperties();
    expect((await call('POST', '/damage', { ...place, offset: 5 })).status).toBe(204);
    expect((await file().downloadToBuffer(0, 10)).toString('latin1')).toBe('fffff\u0099ffff');
    expect((await file().getProperties()).etag).toBe(before.etag);
    await call('POST', '/damage', { ...place, offset: 5 });
  });

  it('tells the traffic', async () => {
    expect(await call('GET', '/traffic')).toMatchObject({ status: 200, body: { acct1: { ingressBytes: expect.any(Number) }, acct2: {} } });
  });

  it('refuses what it does not know, and says what is wrong', async () => {
    expect((await call('PUT', '/disturbances', { faults: [{ kind: 'earthquake' }] })).status).toBe(400);
    expect(await call('PUT', '/disturbances', { fautls: [] })).toMatchObject({ status: 400, body: { error: expect.stringContaining('fautls') } });
    expect((await call('PUT', '/disturbances', '{')).status).toBe(400);
    expect((await call('PUT', '/disturbances', JSON.stringify(' '.repeat(300_000)))).status).toBe(400);
    expect(await call('GET', '/')).toMatchObject({ status: 404, body: { calls: expect.arrayContaining(['PUT /disturbances']) } });
    expect((await call('DELETE', '/disturbances', undefined, { origin: 'https://evil.test' })).status).toBe(403);
  });

  it('is not there unless it is asked for, and is reached from this machine only', async () => {
    const without = await startTemporaryEmulator(['acct1']);
    expect(without.controlUrl).toBeUndefined();
    await without.close();
    expect(new URL(emulator.controlUrl!).hostname).toBe('127.0.0.1');
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    await expect(startTemporaryEmulator(['acct1'], { controlPort: (taken.address() as AddressInfo).port })).rejects.toMatchObject({ code: 'EMULATOR_NOT_LISTENING' });
    taken.close();
  });
});
