import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname, join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { KiB, MiB } from '#quantities';

import { sharedKeyText } from './access/shared-key.js';
import { sign } from './access/signing.js';
import { parseAddress } from './address.js';
import { AzureFilesError } from './azure-error.js';
import { type RawAnswer, sendRaw } from './testing/raw-request.js';
import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from './testing/temporary-emulator.js';

let emulator: TemporaryEmulator;
const signAs = { account: 'acct1', key: TEST_KEY };
const PATH_PARTS = ['..', '.', '/', '%2f', '%2e', '%5c', 'a', '%00', '%25', '\\', ':', '%', ' ', '%c3%a9'];
const newFile = { 'x-ms-type': 'file', 'x-ms-content-length': '1000' };

beforeAll(async () => {
  emulator = await startTemporaryEmulator();
  await send('PUT', '/acct1/layers?restype=share');
  await send('PUT', '/acct1/layers/file', newFile);
});
afterAll(() => emulator.close());

function send(method: string, target: string, headers: Record<string, string> = {}, body?: Buffer): Promise<RawAnswer> {
  return sendRaw({ method, url: emulator.url, target, headers, signAs, ...(body === undefined ? {} : { body }) });
}

describe('paths', () => {
  it('that lead out of the share, or name nothing, are refused', async () => {
    await writeFile(join(emulator.folder, 'secret'), 'secret');
    const codes: Record<string, string | undefined> = {};
    const escapes = ['..', '../../secret', 'a/../../../secret', '%2e%2e/%2e%2e/secret', '..%2fsecret', '%2e%2e%5csecret'];
    const nameless = ['a%00b', 'a%0ab', '.', 'a//b', 'x%ff', '%', 'n'.repeat(256), 'é'.repeat(200), 'con%3Ax', 'a%2f%2fb', 'a%2f', '...'];
    const served: string[] = [];
    for (const target of [...escapes, ...nameless]) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await send(method, `/acct1/layers/${target}`, method === 'PUT' ? newFile : {});
        codes[target] = answer.code;
        if (answer.status !== 400) served.push(`${method} ${target}: ${answer.status}`);
      }
    }
    expect(served).toEqual([]);
    expect(codes).toMatchObject({ '..': 'InvalidFileOrDirectoryPathName', '..%2fsecret': 'InvalidFileOrDirectoryPathName' });
    expect(codes).toMatchObject({ 'x%ff': 'InvalidUri', 'a%00b': 'InvalidResourceName' });
    expect(await readdir(join(emulator.folder, 'acct1', 'layers'))).toEqual(['file']);
    expect(await readdir(dirname(join(emulator.folder, 'acct1')))).toEqual(expect.arrayContaining(['.lock', '.records', 'acct1', 'acct2', 'secret']));
  });

  it('of shares follow the rules for share names', async () => {
    for (const name of ['UPPER', 'a--b', '-ab', 'ab-', 'ab', 'x'.repeat(64), '.records', '..', '%2e%2e']) {
      expect({ name, status: (await send('PUT', `/acct1/${name}?restype=share`)).status }).toEqual({ name, status: 400 });
    }
  });

  it('never decode to anything but components that stay below their share', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PATH_PARTS), { maxLength: 12 }), (parts) => {
        try {
          const { path } = parseAddress(`/acct1/layers/${parts.join('')}`, { keepTrailingDots: true });
          expect(join('/root', path).startsWith('/root')).toBe(true);
          for (const component of path === '' ? [] : path.split('/')) expect(['', '.', '..']).not.toContain(component);
          // oxlint-disable-next-line no-control-regex -- NUL is what is looked for
          expect(path).not.toMatch(/[\u0000\\]/);
        } catch (error) {
          expect(error).toBeInstanceOf(AzureFilesError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('requests', () => {
  it('for what is not offered are refused, not ignored', async () => {
    const stamp = '2026-01-13T19:07:18.0000000Z';
    expect(await send('GET', `/acct1/layers/file?sharesnapshot=${stamp}`)).toMatchObject({ status: 404, code: 'ShareSnapshotNotFound' });
    expect(await send('DELETE', `/acct1/layers/file?sharesnapshot=${stamp}`)).toMatchObject({ status: 400, code: 'ShareSnapshotOperationNotSupported' });
    expect(await send('GET', `/acct1/layers/file?prevsharesnapshot=${stamp}`)).toMatchObject({ status: 400, code: 'UnsupportedQueryParameter' });
    for (const condition of ['if-match', 'if-none-match']) expect(await send('GET', '/acct1/layers/file', { [condition]: '"x"' })).toMatchObject({ status: 400, code: 'ConditionHeadersNotSupported' });
    for (const condition of ['if-modified-since', 'if-unmodified-since']) {
      expect(await send('GET', '/acct1/layers/file', { [condition]: new Date().toUTCString() })).toMatchObject({ status: 400, code: 'ConditionHeadersNotSupported' });
    }
    expect(await send('GET', '/acct1/layers/file?comp=what')).toMatchObject({ status: 400, code: 'InvalidQueryParameterValue' });
    expect(await send('POST', '/acct1/layers/file')).toMatchObject({ status: 405, code: 'UnsupportedHttpVerb' });
    const structured = { 'x-ms-structured-body': 'XSM/2.0; properties=md5', 'x-ms-write': 'update', 'x-ms-range': 'bytes=0-0' };
    expect(await send('PUT', '/acct1/layers/file?comp=range', structured, Buffer.alloc(44))).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    for (const header of ['x-ms-mode', 'x-ms-owner', 'x-ms-root-squash']) expect(await send('PUT', '/acct1/layers/nfs', { ...newFile, [header]: '0' })).toMatchObject({ status: 400, code: 'UnsupportedHeader' });
    expect(await send('PUT', '/acct1/nfs-share?restype=share', { 'x-ms-enabled-protocols': 'NFS' })).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    expect(await send('PUT', '/acct1/layers/link?restype=symboliclink', { 'x-ms-link-text': 'file' })).toMatchObject({ status: 400, code: 'InvalidQueryParameterValue' });
  });

  it('echo any version from 2019-02-02 on, and the client request id', async () => {
    for (const version of ['2019-02-02', '2026-04-06', '2030-01-01']) {
      const answer = await send('GET', '/acct1/layers/file', { 'x-ms-version': version, 'x-ms-client-request-id': 'mine' });
      const headers = { 'x-ms-version': version, 'x-ms-client-request-id': 'mine', server: expect.stringContaining('Windows-Azure-File/1.0') };
      expect(answer).toMatchObject({ status: 200, headers });
    }
    const old = await send('GET', '/acct1/layers/file', { 'x-ms-version': '2018-03-28' });
    expect(old).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    expect(old.body.toString()).toContain('<HeaderName>x-ms-version</HeaderName>');
  });

  it('with ranges that are no ranges are refused', async () => {
    for (const range of ['bytes=5-4', 'bytes=-5', 'bytes=a-b', 'bytes=0-1,3-4', 'chars=0-1', 'bytes=0-99999999999999999999']) {
      const { status } = await send('GET', '/acct1/layers/file', { 'x-ms-range': range });
      expect({ range, status }).toEqual({ range, status: range === 'bytes=5-4' ? 416 : 400 });
    }
    expect(await send('GET', '/acct1/layers/file', { range: 'bytes=1000-' })).toMatchObject({ status: 416, code: 'InvalidRange' });
    expect(await send('GET', '/acct1/layers/file', { range: 'bytes=990-2000' })).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 990-999/1000' } });
  });

  it('with impossible sizes are refused', async () => {
    for (const size of ['-1', '1e3', '4398046511105', 'x', '99999999999999999999']) {
      const { status } = await send('PUT', '/acct1/layers/sized', { 'x-ms-type': 'file', 'x-ms-content-length': size });
      expect({ size, status }).toEqual({ size, status: 400 });
    }
    expect(await send('PUT', '/acct1/layers/sized', { 'x-ms-type': 'file' })).toMatchObject({ status: 400, code: 'MissingRequiredHeader' });
  });

  it('with too much metadata or impossible names of it are refused', async () => {
    const target = '/acct1/layers/file?comp=metadata';
    expect(await send('PUT', target, { 'x-ms-meta-a': 'x'.repeat(9000) })).toMatchObject({ status: 400, code: 'MetadataTooLarge' });
    expect(await send('PUT', target, { 'x-ms-meta-a.b': 'x' })).toMatchObject({ status: 400, code: 'InvalidMetadata' });
  });
});

describe('headers', () => {
  /** Whoever is still sending when the connection is closed may not get to read why. */
  const answerTo = (...sent: Parameters<typeof send>): Promise<number | string> => send(...sent).then(({ status }) => status, () => 'closed');

  it('beyond what any operation has are refused, before and behind the first line', async () => {
    for (const headers of [{ 'x-ms-meta-a': 'a'.repeat(64 * KiB) }, Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`x-ms-meta-n${n}`, 'a'.repeat(20)]))]) {
      expect([431, 'closed']).toContain(await answerTo('PUT', '/acct1/layers/file?comp=metadata', headers));
    }
    expect([431, 'closed']).toContain(await answerTo('GET', `/acct1/layers/${'a/'.repeat(32 * KiB)}`));
    expect((await send('HEAD', '/acct1/layers/file')).status).toBe(200);
  });
});

describe('pages', () => {
  it('of impossible size, or behind a marker that is none, are refused; larger than there are ones have what there is', async () => {
    const list = async (query: string): Promise<number> => (await send('GET', `/acct1/layers?restype=directory&comp=list&${query}`)).status;
    const shares = async (query: string): Promise<number> => (await send('GET', `/acct1/?comp=list&${query}`)).status;
    for (const ask of [list, shares]) {
      for (const size of ['0', '-1', '99999999999999999999', '1e3', 'many']) expect([size, await ask(`maxresults=${size}`)]).toEqual([size, 400]);
      for (const marker of ['..%2F..', 'a%00b', 'a'.repeat(1500)]) expect([marker, await ask(`marker=${marker}`)]).toEqual([marker, 400]);
      expect(await ask('maxresults=999999999')).toBe(200);
    }
  });
});

describe('bodies', () => {
  const range = (length: number): Record<string, string> => ({ 'x-ms-write': 'update', 'x-ms-range': `bytes=0-${length - 1}` });

  it('over 4 MiB, of another length than the range, or without a length are refused', async () => {
    expect(await send('PUT', '/acct1/layers/file?comp=range', range(4 * MiB + 1), Buffer.alloc(4 * MiB + 1)).catch(() => 'cut')).toSatisfy(
      (answer: RawAnswer | 'cut') => answer === 'cut' || answer.status === 413,
    );
    expect(await send('PUT', '/acct1/layers/file?comp=range', range(5), Buffer.alloc(6))).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    const chunked = await send('PUT', '/acct1/layers/file?comp=range', { ...range(5), 'transfer-encoding': 'chunked' });
    expect(chunked).toMatchObject({ status: 411, code: 'MissingContentLengthHeader' });
  });

  it('that end early change nothing', async () => {
    const before = await send('HEAD', '/acct1/layers/file');
    const headers = new Map(Object.entries({ ...range(1000), 'content-length': '1000', 'x-ms-version': '2025-07-05', 'x-ms-date': new Date().toUTCString() }));
    const target = '/acct1/layers/file?comp=range';
    const address = parseAddress(target, { keepTrailingDots: true });
    const text = sharedKeyText({ method: 'PUT', address, headers, remoteAddress: '', secure: false }, 'encoding-first');
    headers.set('authorization', `SharedKey acct1:${sign(text, TEST_KEY)}`);
    const socket = connect(emulator.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.end(`PUT ${target} HTTP/1.1\r\nhost: x\r\n${[...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${'x'.repeat(500)}`);
    socket.resume();
    await once(socket, 'close');
    expect((await send('HEAD', '/acct1/layers/file')).headers.etag).toBe(before.headers.etag);
  });
});

describe('copy sources', () => {
  const copy = (source: string, headers: Record<string, string> = {}): Promise<RawAnswer> => {
    const ranges = { 'x-ms-range': 'bytes=0-99', 'x-ms-source-range': 'bytes=0-99' };
    return send('PUT', '/acct1/layers/file?comp=range', { 'x-ms-write': 'update', ...ranges, 'x-ms-copy-source': source, ...headers });
  };

  it('that are no http URLs, are too long, or want another length are refused', async () => {
    for (const source of ['file:///etc/passwd', 'x', `http://127.0.0.1/${'a'.repeat(2100)}`, 'http://user:secret@127.0.0.1/']) {
      const { status, code } = await copy(source);
      expect({ source, status, code }).toEqual({ source, status: 400, code: 'InvalidHeaderValue' });
    }
    const shorter = await copy(`${emulator.url}/acct1/layers/file`, { 'x-ms-source-range': 'bytes=0-98' });
    expect(shorter).toMatchObject({ status: 400, code: 'InvalidHeaderValue' });
    const unsigned = await copy(`${emulator.url}/acct1/layers/file`);
    expect(unsigned).toMatchObject({ status: 401, code: 'CannotVerifyCopySource' });
    expect(unsigned.body.toString()).toContain('<CopySourceErrorCode>NoAuthenticationInformation</CopySourceErrorCode>');
  });

  it('that cut the connection, send too much or too little, redirect or fail, write nothing', async () => {
    const bad = createServer((request, response) => {
      if (request.url === '/cut') response.writeHead(206, { 'content-length': 100 }).write('x', () => response.destroy());
      else if (request.url === '/much') response.writeHead(206, { 'content-length': 101 }).end('x'.repeat(101));
      else if (request.url === '/endless') response.writeHead(206).write('x'.repeat(1000));
      else if (request.url === '/busy') response.writeHead(503, { 'x-ms-error-code': 'ServerBusy' }).end();
      else response.writeHead(302, { location: `${emulator.url}/` }).end();
    }).listen(0, '127.0.0.1');
    await once(bad, 'listening');
    const before = (await send('HEAD', '/acct1/layers/file')).headers.etag;
    const url = `http://127.0.0.1:${(bad.address() as AddressInfo).port}`;
    const answers: Record<string, unknown> = {};
    for (const path of ['cut', 'much', 'endless', 'busy', 'redirect']) {
      const answer = await copy(`${url}/${path}`);
      expect(answer.code).toBe('CannotVerifyCopySource');
      answers[path] = [answer.status, answer.headers['x-ms-copy-source-error-code']];
    }
    expect(answers).toEqual({
      cut: [500, 'InternalError'],
      much: [416, 'InvalidRange'],
      endless: [416, 'InvalidRange'],
      busy: [503, 'ServerBusy'],
      redirect: [400, 'InvalidInput'],
    });
    expect((await send('HEAD', '/acct1/layers/file')).headers.etag).toBe(before);
    bad.closeAllConnections();
    bad.close();
  });
});

describe('stopping', () => {
  it('lets an answer under way reach its client whole, and closes what is idle', async () => {
    const stopping = await startTemporaryEmulator(['acct1']);
    const signed = { url: stopping.url, signAs };
    await sendRaw({ ...signed, method: 'PUT', target: '/acct1/layers?restype=share' });
    await sendRaw({ ...signed, method: 'PUT', target: '/acct1/layers/large', headers: { ...newFile, 'x-ms-content-length': String(64 * MiB) } });
    const date = new Date().toUTCString();
    const headers = { 'x-ms-version': '2025-07-05', 'x-ms-date': date };
    const address = parseAddress('/acct1/layers/large', { keepTrailingDots: true });
    const text = sharedKeyText({ method: 'GET', address, headers: new Map(Object.entries(headers)), remoteAddress: '', secure: false }, 'encoding-first');
    const authorization = `SharedKey acct1:${sign(text, TEST_KEY)}`;
    const agent = new Agent({ keepAlive: true });
    const asked = get({ port: stopping.port, host: '127.0.0.1', path: '/acct1/layers/large', headers: { ...headers, authorization }, agent });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const closed = stopping.close();
    let received = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) received += chunk.length;
    expect(received).toBe(64 * MiB);
    const startedAt = performance.now();
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(9000);
    agent.destroy();
  });
});

describe('renames', () => {
  it('within a folder that becomes a file of the same name do not wait for each other', async () => {
    for (const name of ['left', 'right']) await send('PUT', `/acct1/layers/${name}`, newFile);
    const rename = (from: string, to: string): Promise<RawAnswer> =>
      send('PUT', `/acct1/layers/${to}?comp=rename`, { 'x-ms-file-rename-source': `${emulator.url}/acct1/layers/${from}` });
    const answers = await Promise.all([rename('left', 'right/x'), rename('right', 'left/y'), rename('left', 'left/z')]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 404, code: 'ParentNotFound' });
  });
});
