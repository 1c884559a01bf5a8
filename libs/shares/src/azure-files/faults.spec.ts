import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { Clock } from '#clock';
import { ManualClock } from '#clock/testing';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';

import { PIECE_BYTES } from '../layer-file.js';
import { ShareError } from '../share-error.js';
import { type Fault, FaultyFront } from '../testing/faulty-front.js';
import { expectShareError } from '../testing/share-conformance.js';
import { AzureFilesAccount, type AzureFilesAccountOptions } from './azure-files-account.js';
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

let emulator: TemporaryEmulator;
let front: FaultyFront;
let clock: HurriedClock;
let share: AzureFilesShare;

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  front = await FaultyFront.start(emulator.port);
});
afterAll(async () => {
  front.close();
  await emulator.close();
});
beforeEach(async () => {
  front.forget();
  clock = new HurriedClock();
  share = open({});
  await share.ensureExists();
  front.forget();
});

function open(ofAccount: Partial<AzureFilesAccountOptions>, ofShare: Partial<AzureFilesShareOptions> = {}): AzureFilesShare {
  const account = new AzureFilesAccount({ name: 'acct1', credential: { kind: 'key', key: TEST_KEY }, endpoint: `${front.url}/acct1`, clock, ...ofAccount });
  return new AzureFilesShare({ name: 'home', region: 'westeurope', capacityBytes: 1e9, shareName: 'layers', account, ...ofShare });
}

describe('a read', () => {
  it('whose connection is cut in a body goes on at that byte, and fetches nothing twice', async () => {
    const bytes = randomBytes(PIECE_BYTES * 3);
    await share.createFile('cut.vhd', bytes.length);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await share.writeRange('cut.vhd', at, bytes.subarray(at, at + PIECE_BYTES));
    front.forget();
    front.faults = [{ kind: 'cut-answer', afterBytes: 100_000 }];
    expect((await share.readRange('cut.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
    expect(front.lines.toSorted()).toEqual([
      `GET bytes=0-${PIECE_BYTES - 1}`, `GET bytes=100000-${PIECE_BYTES - 1}`,
      `GET bytes=${PIECE_BYTES}-${PIECE_BYTES * 2 - 1}`, `GET bytes=${PIECE_BYTES * 2}-${PIECE_BYTES * 3 - 1}`,
    ].toSorted());
  });

  it('that is cut several times in one piece still comes to its end, byte for byte', async () => {
    const bytes = randomBytes(1_000_003);
    await share.createFile('cuts.vhd', bytes.length);
    await share.writeRange('cuts.vhd', 0, bytes);
    front.faults = [1, 200_000, 77_777, 0].map((afterBytes) => ({ kind: 'cut-answer', afterBytes }));
    expect((await share.readRange('cuts.vhd', { offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
  });

  it('that goes on in a file which was written to meanwhile is refused', async () => {
    await share.createFile('rewritten.vhd', 100_000);
    front.faults = [{ kind: 'cut-answer', afterBytes: 50_000 }];
    front.faultOf = () => ({ kind: 'change', headers: { etag: '"0x2"' } });
    await expectShareError(share.readRange('rewritten.vhd', { offset: 0, length: 100_000 }), 'INTEGRITY_MISMATCH');
  });

  it('of a file that changes meanwhile is refused', async () => {
    await share.createFile('changing.vhd', PIECE_BYTES * 2);
    front.faults = [{ kind: 'change', headers: { etag: '"0x1"' } }];
    await expectShareError(share.readRange('changing.vhd', { offset: 0, length: PIECE_BYTES * 2 }), 'INTEGRITY_MISMATCH');
  });
});

describe('a call', () => {
  it.each([408, 429, 500, 503])('answered with %i is tried again', async (status) => {
    front.faults = [{ kind: 'refuse', status }, { kind: 'refuse', status }];
    await share.createFile('retried.vhd', 10);
    expect(front.lines).toHaveLength(3);
    expect(clock.sleeps).toHaveLength(2);
  });

  it('begins no try later than five minutes after its first one', async () => {
    const begun: number[] = [];
    const slow = new ManualClock();
    const stubborn = open({ clock: slow });
    const started = slow.now().getTime();
    front.faultOf = () => {
      begun.push(slow.now().getTime() - started);
      void slow.advance(130_000);
      return { kind: 'refuse', status: 503, headers: { 'retry-after': '0' } };
    };
    const failed = stubborn.stat('x.vhd').catch((error: unknown) => error);
    let ended = false;
    void failed.finally(() => (ended = true));
    while (!ended) {
      if (slow.sleeperCount > 0) await slow.advance(1);
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    expect(await failed).toMatchObject({ code: 'SHARE_BUSY' });
    expect(begun).toHaveLength(3);
    expect(begun.at(-1)).toBeLessThan(300_000);
  });

  it.each([[403, 'SHARE_DENIED'], [400, 'SHARE_PROTOCOL'], [412, 'SHARE_PROTOCOL']] as const)('answered with %i is not tried again', async (status, code) => {
    front.faults = [{ kind: 'refuse', status }];
    expect((await expectShareError(share.stat('x.vhd'), code)).transient).toBe(false);
    expect(front.lines).toHaveLength(1);
  });

  it('waits as long as Retry-After asks, and fails at once when that is too long', async () => {
    front.faults = [{ kind: 'refuse', status: 503, headers: { 'retry-after': '7' } }];
    await share.stat('x.vhd');
    expect(clock.sleeps[0]).toBeGreaterThanOrEqual(7000);
    front.faults = [{ kind: 'refuse', status: 503, headers: { 'retry-after': '3600' } }];
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
    front.faults = [{ kind: 'refuse', status, headers: { 'x-ms-error-code': azureCode } }];
    await expectShareError(share.remove('x.vhd'), code);
  });
});

describe('an answer that is lost', () => {
  it('does not turn a rename that happened into a failure', async () => {
    await share.createFile('before.vhd', 10);
    front.faults = [{ kind: 'change', headers: {} }, { kind: 'lose-answer' }];
    await share.rename('before.vhd', 'after.vhd');
    expect(await share.stat('after.vhd')).toMatchObject({ sizeBytes: 10 });
  });

  it('does not turn a removal that happened into a file that was not there', async () => {
    await share.createFile('removed.vhd', 10);
    front.faults = [{ kind: 'lose-answer' }];
    expect(await share.remove('removed.vhd')).toBe(true);
  });
});

describe('a copy', () => {
  it('whose source was only busy is tried again, and told as transient at the end', async () => {
    await share.createFile('target.vhd', 512);
    await share.createFile('source.vhd', 512);
    const source = await open({ endpoint: `${emulator.url}/acct1` }).grantCopySource('source.vhd', new Date(Date.now() + 60_000));
    const busy: Fault = { kind: 'refuse', status: 400, headers: { 'x-ms-error-code': 'CannotVerifyCopySource', 'x-ms-copy-source-error-code': 'ServerBusy' } };
    front.faults = [busy, busy];
    await share.copyRange('target.vhd', { offset: 0, length: 512 }, source);
    front.faults = Array.from({ length: 6 }, () => busy);
    const error = await expectShareError(share.copyRange('target.vhd', { offset: 0, length: 512 }, source), 'COPY_SOURCE_FAILED');
    expect(error).toMatchObject({ transient: true, details: { sourceCode: 'ServerBusy' } });
  });
});

describe('a copy whose source failed', () => {
  it.each([
    ['ServerBusy', undefined, true],
    ['OperationTimedOut', '500', true],
    ['InternalError', '500', true],
    [undefined, '429', true],
    [undefined, '503', true],
    ['AuthenticationFailed', '403', false],
    ['ResourceNotFound', '404', false],
  ])('with %s (%s) is tried again: %s', async (code, status, again) => {
    await share.createFile('t.vhd', 512);
    front.forget();
    const headers = { 'x-ms-error-code': 'CannotVerifyCopySource', ...(code && { 'x-ms-copy-source-error-code': code }), ...(status && { 'x-ms-copy-source-status-code': status }) };
    front.faultOf = () => ({ kind: 'refuse', status: 403, headers });
    const source = { url: 'https://else.file.core.windows.net/layers/x?sig=abc', expiresAt: new Date() };
    const error = await expectShareError(share.copyRange('t.vhd', { offset: 0, length: 512 }, source), 'COPY_SOURCE_FAILED');
    expect(error.transient).toBe(again);
    expect(front.lines).toHaveLength(again ? 6 : 1);
  });
});

describe('calls under way', () => {
  it('become fewer while the share throttles, and more again', async () => {
    await share.createFile('w.vhd', PIECE_BYTES * 8);
    const write = (n: number): Promise<void> => share.writeRange('w.vhd', (n % 8) * PIECE_BYTES, Buffer.alloc(1000, n));
    const before = share.callsWidth;
    front.faults = Array.from({ length: 30 }, () => ({ kind: 'refuse', status: 503, headers: { 'x-ms-error-code': 'ServerBusy' } }));
    await Promise.all(Array.from({ length: 40 }, (_, n) => write(n)));
    const throttled = share.callsWidth;
    expect(throttled).toBeLessThan(before);
    for (let round = 0; round < 10; round += 1) await Promise.all(Array.from({ length: 40 }, (_, n) => write(n)));
    expect(share.callsWidth).toBeGreaterThan(throttled);
  });

  it('become fewer on all shares of an account when it says that the account is over its limit', async () => {
    const account = new AzureFilesAccount({ name: 'acct1', credential: { kind: 'key', key: TEST_KEY }, endpoint: `${front.url}/acct1`, clock });
    const one = open({}, { account });
    const busy = (message: string): Fault => ({
      kind: 'refuse', status: 503, headers: { 'x-ms-error-code': 'ServerBusy', 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code><Message>${message}</Message></Error>`,
    });
    front.faults = [busy('The server is busy.')];
    await one.usage();
    const [ofAccount, ofShare] = [account.callsWidth, one.callsWidth];
    front.faults = [busy('Operations per second is over the account limit.')];
    await one.usage();
    expect(account.callsWidth).toBe(ofAccount / 2);
    expect(one.callsWidth).toBe(ofShare / 2);
  });
});

describe('the bounds of a share', () => {
  it('make writes and copies into it wait, and reads of it, also when another share reads', async () => {
    const standing = new ManualClock();
    const bounded = open({ clock: standing }, { bytesPerSecond: { in: 1000, out: 500 } });
    const target = open({ clock: standing });
    await bounded.createFile('b.vhd', 3000);
    await target.createFile('c.vhd', 3000);
    const waits = async (call: () => Promise<unknown>): Promise<number> => {
      const began = standing.now().getTime();
      let ended = false;
      const done = call().finally(() => (ended = true));
      while (!ended) {
        if (standing.sleeperCount > 0) await standing.advance(100);
        await new Promise((resolve) => { setImmediate(resolve); });
      }
      await done;
      return standing.now().getTime() - began;
    };
    await bounded.writeRange('b.vhd', 0, Buffer.alloc(1000, 1));
    expect(await waits(() => bounded.writeRange('b.vhd', 0, Buffer.alloc(1000, 2)))).toBe(1000);
    await bounded.readRange('b.vhd', { offset: 0, length: 1000 });
    expect(await waits(() => bounded.readRange('b.vhd', { offset: 0, length: 1000 }))).toBe(2000);
    const source = await bounded.grantCopySource('b.vhd', new Date(Date.now() + 3_600_000));
    expect(await waits(() => target.copyRange('c.vhd', { offset: 0, length: 1000 }, source))).toBe(2000);
  });
});

describe('secrets', () => {
  it('are in no error, and in nothing that shows the share', async () => {
    const source = await share.grantCopySource('secret.vhd', new Date(Date.now() + 60_000));
    const failures = [
      await share.copyRange('none.vhd', { offset: 0, length: 1 }, source).catch((error: unknown) => error),
      await open({ credential: { kind: 'key', key: Buffer.alloc(64, 'w').toString('base64') } }).stat('x.vhd').catch((error: unknown) => error),
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

describe('a share that speaks NFS', () => {
  it.each([undefined, 'nfs.test:/srv/layers'])('tells of no open handles and closes none, and asks nobody, whatever clients have open, with its export %s', async (nfsExport) => {
    const nfs = open({}, { protocol: 'nfs', nfsExport });
    await share.createFile('shown.vhd', 512);
    const place = { account: 'acct1', share: 'layers', path: 'shown.vhd' };
    const handle = await emulator.control.openHandle(place, { sharing: 'read-write-delete' });
    expect(await share.openHandles('shown.vhd')).toBe(1);
    front.forget();
    expect([await nfs.openHandles('shown.vhd'), await nfs.openHandles('absent.vhd'), await nfs.openHandles(''), await nfs.closeHandles('shown.vhd')]).toEqual([0, 0, 0, 0]);
    expect(front.lines).toEqual([]);
    expect(await share.openHandles('shown.vhd')).toBe(1);
    emulator.control.closeHandle(place, handle.id);
  });
});

describe('mounts', () => {
  const inOneHour = (): Date => new Date(Date.now() + 3_600_000);

  it('of a real account are its UNC name and an https URL for the file alone', () => {
    const [smb, https, ...more] = open({ name: 'acct', endpoint: 'https://acct.file.core.windows.net' }).mountSources('sha256/ab/x.vhd', inOneHour());
    expect(smb).toEqual({ type: 'smb', region: 'westeurope', source: '//acct.file.core.windows.net/layers/sha256/ab/x.vhd', options: ['ro'] });
    expect(more).toEqual([]);
    const url = new URL(https!.source);
    expect(url.origin + url.pathname).toBe('https://acct.file.core.windows.net/layers/sha256/ab/x.vhd');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ sr: 'f', sp: 'r', spr: 'https' });
  });

  it('of a real account that speaks NFS are its export and an https URL, and of another server the export that is configured', () => {
    const nfs = (options: Partial<AzureFilesShareOptions>): unknown =>
      open({ name: 'acct', endpoint: 'https://acct.file.core.windows.net' }, { protocol: 'nfs', ...options }).mountSources('sha256/ab/x.vhd', inOneHour()).map(({ type, source }) => `${type} ${source.split('?')[0]}`);
    const https = 'https https://acct.file.core.windows.net/layers/sha256/ab/x.vhd';
    expect(nfs({})).toEqual(['nfs acct.file.core.windows.net:/acct/layers/sha256/ab/x.vhd', https]);
    expect(nfs({ nfsExport: 'nfs.test:/' })).toEqual(['nfs nfs.test:/sha256/ab/x.vhd', https]);
    expect(nfs({ nfsExport: '[fd00::1]:/srv/layers' })).toEqual(['nfs [fd00::1]:/srv/layers/sha256/ab/x.vhd', https]);
  });

  it('of an emulator name its folder and its Samba only where they are configured', () => {
    const types = (options: Partial<AzureFilesShareOptions>): string[] =>
      open({}, options).mountSources('a.vhd', inOneHour()).map(({ type, source }) => `${type} ${source.split('?')[0]}`);
    const https = `https ${front.url}/acct1/layers/a.vhd`;
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
