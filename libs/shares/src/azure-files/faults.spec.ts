import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Clock } from '#clock';
import { ManualClock } from '#clock/testing';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';

import { PIECE_BYTES } from '../layer-file.js';
import { ShareError } from '../share-error.js';
import { expectShareError } from '../testing/share-conformance.js';
import type { AzureFilesShareOptions } from './azure-files-options.js';
import { AzureFilesShare } from './azure-files-share.js';

/** A clock that does not wait, and remembers how long it should have. */
class HurriedClock extends Clock {
  readonly sleeps: number[] = [];
  now(): Date {
    return new Date();
  }
  async sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
  }
}

/** What happens to one request on its way: refuse it, pass it on and lose the answer, cut the answer, or change its headers. */
type Fault =
  | { readonly kind: 'refuse'; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  | { readonly kind: 'change'; readonly headers: Record<string, string> };

let emulator: TemporaryEmulator;
let front: Server;
let clock: HurriedClock;
let faults: Fault[] = [];
let requests: string[] = [];
let share: AzureFilesShare;

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  front = createServer(pass).listen(0, '127.0.0.1');
  await once(front, 'listening');
});
afterAll(async () => {
  front.closeAllConnections();
  front.close();
  await emulator.close();
});
beforeEach(async () => {
  faults = [];
  clock = new HurriedClock();
  share = open({});
  await share.ensureExists();
  requests = [];
});

function open(options: Partial<AzureFilesShareOptions>): AzureFilesShare {
  const endpoint = `http://127.0.0.1:${(front.address() as AddressInfo).port}/acct1`;
  const place = { name: 'home', region: 'westeurope', capacityBytes: 1e9, shareName: 'layers' };
  return new AzureFilesShare({ ...place, account: 'acct1', accountKey: TEST_KEY, endpoint, clock, ...options });
}

/** Hands a request on to the emulator, with the next fault if there is one. */
function pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
  requests.push(`${incoming.method} ${String(incoming.headers['x-ms-range'] ?? '')}`.trim());
  const fault = faults.shift();
  if (fault?.kind === 'refuse') {
    incoming.resume();
    outgoing.writeHead(fault.status, fault.headers).end();
    return;
  }
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port: emulator.port, method: method!, path: url!, headers, agent: false }, (answer) => {
    if (fault?.kind === 'lose-answer') {
      answer.resume().on('end', () => outgoing.destroy());
      return;
    }
    outgoing.writeHead(answer.statusCode!, { ...answer.headers, ...(fault?.kind === 'change' ? fault.headers : {}) });
    let left = fault?.kind === 'cut-answer' ? fault.afterBytes : Number.POSITIVE_INFINITY;
    answer.on('data', (chunk: Buffer) => {
      if (left <= 0) return;
      outgoing.write(chunk.subarray(0, left), () => left <= 0 && outgoing.destroy());
      left -= chunk.length;
    });
    answer.on('end', () => outgoing.end());
  });
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}

describe('a read', () => {
  it('whose connection is cut in a body fetches that piece again and no other', async () => {
    const bytes = randomBytes(PIECE_BYTES * 3);
    await share.createFile('cut.vhd', bytes.length);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await share.writeRange('cut.vhd', at, bytes.subarray(at, at + PIECE_BYTES));
    requests = [];
    faults = [{ kind: 'cut-answer', afterBytes: 100_000 }];
    expect((await share.readRange('cut.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
    const first = `GET bytes=0-${PIECE_BYTES - 1}`;
    expect(requests.filter((line) => line === first)).toHaveLength(2);
    expect(requests).toHaveLength(4);
  });

  it('of a file that changes meanwhile is refused', async () => {
    await share.createFile('changing.vhd', PIECE_BYTES * 2);
    faults = [{ kind: 'change', headers: { etag: '"0x1"' } }];
    await expectShareError(share.readRange('changing.vhd', { offset: 0, length: PIECE_BYTES * 2 }), 'INTEGRITY_MISMATCH');
  });
});

describe('a call', () => {
  it.each([408, 429, 500, 503])('answered with %i is tried again', async (status) => {
    faults = [{ kind: 'refuse', status }, { kind: 'refuse', status }];
    await share.createFile('retried.vhd', 10);
    expect(requests).toHaveLength(3);
    expect(clock.sleeps).toHaveLength(2);
  });

  it.each([[403, 'SHARE_DENIED'], [400, 'SHARE_PROTOCOL'], [412, 'SHARE_PROTOCOL']] as const)('answered with %i is not tried again', async (status, code) => {
    faults = [{ kind: 'refuse', status }];
    expect((await expectShareError(share.stat('x.vhd'), code)).transient).toBe(false);
    expect(requests).toHaveLength(1);
  });

  it('waits as long as Retry-After asks, and fails at once when that is too long', async () => {
    faults = [{ kind: 'refuse', status: 503, headers: { 'retry-after': '7' } }];
    await share.stat('x.vhd');
    expect(clock.sleeps[0]).toBeGreaterThanOrEqual(7000);
    faults = [{ kind: 'refuse', status: 503, headers: { 'retry-after': '3600' } }];
    expect(await expectShareError(share.stat('x.vhd'), 'SHARE_BUSY')).toMatchObject({ transient: true, details: { retryAfterMs: 3_600_000 } });
  });

  it('that never gets through fails as unavailable after its tries', async () => {
    const nobody = open({ endpoint: 'http://127.0.0.1:1/acct1' });
    expect((await expectShareError(nobody.stat('x.vhd'), 'SHARE_UNAVAILABLE')).transient).toBe(true);
    expect(clock.sleeps).toHaveLength(5);
  });

  it('stops trying when its signal aborts', async () => {
    const standing = new ManualClock();
    const stubborn = open({ endpoint: 'http://127.0.0.1:1/acct1', clock: standing });
    const controller = new AbortController();
    const failure = stubborn.stat('x.vhd', controller.signal).then(() => undefined, (error: unknown) => error);
    while (standing.sleeperCount === 0) await new Promise((resolve) => { setImmediate(resolve); });
    const enough = new Error('enough');
    controller.abort(enough);
    expect(await failure).toBe(enough);
  });

  it.each([
    ['SharingViolation', 409, 'FILE_IN_USE'],
    ['ShareSizeLimitReached', 409, 'SHARE_FULL'],
    ['DeletePending', 409, 'FILE_IN_USE'],
    ['ShareNotFound', 404, 'SHARE_NOT_FOUND'],
  ] as const)('refused with %s tells %i as %s', async (azureCode, status, code) => {
    faults = [{ kind: 'refuse', status, headers: { 'x-ms-error-code': azureCode } }];
    await expectShareError(share.remove('x.vhd'), code);
  });
});

describe('an answer that is lost', () => {
  it('does not turn a rename that happened into a failure', async () => {
    await share.createFile('before.vhd', 10);
    faults = [{ kind: 'change', headers: {} }, { kind: 'lose-answer' }];
    await share.rename('before.vhd', 'after.vhd');
    expect(await share.stat('after.vhd')).toMatchObject({ sizeBytes: 10 });
  });

  it('does not turn a removal that happened into a file that was not there', async () => {
    await share.createFile('removed.vhd', 10);
    faults = [{ kind: 'lose-answer' }];
    expect(await share.remove('removed.vhd')).toBe(true);
  });
});

describe('a copy', () => {
  it('whose source was only busy is tried again, and told as transient at the end', async () => {
    await share.createFile('target.vhd', 512);
    await share.createFile('source.vhd', 512);
    const source = await open({ endpoint: `${emulator.url}/acct1` }).grantCopySource('source.vhd', new Date(Date.now() + 60_000));
    const busy: Fault = { kind: 'refuse', status: 400, headers: { 'x-ms-error-code': 'CannotVerifyCopySource', 'x-ms-copy-source-error-code': 'ServerBusy' } };
    faults = [busy, busy];
    await share.copyRange('target.vhd', { offset: 0, length: 512 }, source);
    faults = Array.from({ length: 6 }, () => busy);
    const error = await expectShareError(share.copyRange('target.vhd', { offset: 0, length: 512 }, source), 'COPY_SOURCE_FAILED');
    expect(error).toMatchObject({ transient: true, details: { sourceCode: 'ServerBusy' } });
  });
});

describe('secrets', () => {
  it('are in no error, and in nothing that shows the share', async () => {
    const source = await share.grantCopySource('secret.vhd', new Date(Date.now() + 60_000));
    const failures = [
      await share.copyRange('none.vhd', { offset: 0, length: 1 }, source).catch((error: unknown) => error),
      await open({ accountKey: Buffer.alloc(64, 'w').toString('base64') }).stat('x.vhd').catch((error: unknown) => error),
      await open({ endpoint: 'http://127.0.0.1:1/acct1' }).copyRange('x.vhd', { offset: 0, length: 1 }, source).catch((error: unknown) => error),
    ];
    const signature = new URL(source.url).searchParams.get('sig')!;
    for (const shown of [...failures, share]) {
      expect(shown).toBeDefined();
      const text = `${inspect(shown, { depth: 20, showHidden: true })}${JSON.stringify(shown)}${String(shown)}`;
      for (const secret of [TEST_KEY, signature, encodeURIComponent(signature), Buffer.alloc(64, 'w').toString('base64')]) expect(text).not.toContain(secret);
    }
    for (const failure of failures) expect(failure).toBeInstanceOf(ShareError);
  });
});

describe('mounts', () => {
  const inOneHour = (): Date => new Date(Date.now() + 3_600_000);

  it('of a real account are its UNC name and an https URL for the file alone', () => {
    const [smb, https, ...more] = open({ account: 'acct', endpoint: 'https://acct.file.core.windows.net' }).mountSources('sha256/ab/x.vhd', inOneHour());
    expect(smb).toEqual({ type: 'smb', region: 'westeurope', source: '//acct.file.core.windows.net/layers/sha256/ab/x.vhd', options: ['ro'] });
    expect(more).toEqual([]);
    const url = new URL(https!.source);
    expect(url.origin + url.pathname).toBe('https://acct.file.core.windows.net/layers/sha256/ab/x.vhd');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ sr: 'f', sp: 'r', spr: 'https' });
  });

  it('of an emulator name its folder and its Samba only where they are configured', () => {
    const types = (options: Partial<AzureFilesShareOptions>): string[] =>
      open(options).mountSources('a.vhd', inOneHour()).map(({ type, source }) => `${type} ${source.split('?')[0]}`);
    const https = `https http://127.0.0.1:${(front.address() as AddressInfo).port}/acct1/layers/a.vhd`;
    expect(types({})).toEqual([https]);
    expect(types({ folder: '/srv/layers', smbHost: 'localhost' })).toEqual(['file /srv/layers/a.vhd', 'smb //localhost/layers/a.vhd', https]);
  });

  it('reuse a grant for half its life, and it holds at least as long as asked', async () => {
    const standing = new ManualClock();
    const quiet = open({ clock: standing });
    const ask = (): { source: string; expiresAt?: Date } => quiet.mountSources('a.vhd', new Date(standing.now().getTime() + 3_600_000))[0]!;
    const first = ask();
    await standing.advance(1_799_000);
    expect(ask().source).toBe(first.source);
    await standing.advance(2000);
    const second = ask();
    expect(second.source).not.toBe(first.source);
    expect(second.expiresAt!.getTime() - standing.now().getTime()).toBeGreaterThanOrEqual(3_600_000);
  });
});
