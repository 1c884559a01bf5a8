import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hasProgram } from '#expansion/testing';

import type { Translocator } from '../../apps/translocator/src/translocator.js';
import { type Certificate, Certificates } from './support/certificates.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { sendRaw } from './support/raw-http.js';
import { converse, statusesIn } from './support/raw-socket.js';
import { TOKENS } from './support/service-client.js';
import { startService } from './support/start-service.js';

const NAMES = 'DNS:localhost,IP:127.0.0.1';

interface SecureReply {
  readonly status: number;
  readonly text: string;
  /** The subject of the certificate that the server showed. */
  readonly shown: string;
}

describe.skipIf(!hasProgram('openssl'))('the service over TLS', () => {
  const undo = new AsyncDisposableStack();
  const log: string[] = [];
  let certificates: Certificates;
  let authority: Certificate;
  let clientsAuthority: Certificate;
  let folder: string;
  let redirectPort: number;
  let translocator: Translocator;
  let url: string;
  const shown = (name: string): string => join(folder, 'shown', name);

  /** Shows another pair, as an orchestrator does: a new folder, and a link that is swapped. */
  async function show({ certificate, key }: { readonly certificate: string; readonly key: string }, version: string): Promise<void> {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'tls.crt'), certificate);
    await writeFile(join(folder, version, 'tls.key'), key);
    await writeFile(join(folder, version, 'clients.crt'), clientsAuthority.certificate);
    await symlink(join(folder, version), join(folder, 'next'));
    await rename(join(folder, 'next'), join(folder, 'shown'));
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, 'certificates'));
    certificates = new Certificates(join(folder, 'certificates'));
    authority = await certificates.make({ subject: '/CN=authority', authority: true });
    clientsAuthority = await certificates.make({ subject: '/CN=clients', authority: true });
    await show(await certificates.make({ subject: '/CN=first', issuer: authority, names: NAMES }), 'v1');
    redirectPort = await freePort();
    const tls = {
      certificate: shown('tls.crt'), key: shown('tls.key'), clientCa: shown('clients.crt'), clientCertificates: 'optional', redirectPort,
      clients: [{ name: 'URI:spiffe://test/registry', scopes: ['lookup'] }, { name: 'CN=operator', scopes: ['admin:write'] }],
    };
    const service = await startService({ folder: join(folder, 'service'), registryUrl: 'http://127.0.0.1:9' }, { overrides: { log: { level: 'info' }, server: { shutdownGrace: '1s', headersWithin: '1s', tls } }, onLog: (line) => log.push(line) });
    ({ translocator } = service);
    undo.defer(() => translocator.stop());
    url = translocator.url;
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  function ask(path: string, { client, headers = {}, method = 'GET', body, maxVersion }: { client?: Certificate; headers?: Record<string, string>; method?: string; body?: string; maxVersion?: 'TLSv1.1' } = {}): Promise<SecureReply> {
    const own = client === undefined ? {} : { cert: client.certificate, key: client.key };
    const old = maxVersion === undefined ? {} : { maxVersion, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' };
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, url), { ca: authority.certificate, agent: false, method, headers, ...own, ...old }, (answer) => {
        const name = String((answer.socket as TLSSocket).getPeerCertificate().subject.CN);
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString(), shown: name }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
  const metric = async (name: string): Promise<number> => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await ask('/metrics')).text)?.[1]);
  const REFUSED = 'translocator_tls_reloads_total\\{outcome="refused"\\}';

  it('answers there, and not in plain text; what asks in plain text elsewhere is sent there', async () => {
    expect(url).toMatch(/^https:/);
    expect(await ask('/livez')).toMatchObject({ status: 200, shown: 'first' });
    await expect(sendRaw(url.replace('https:', 'http:'), '/livez')).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|HPE_INVALID/) });
    const { status, headers } = await sendRaw(`http://127.0.0.1:${redirectPort}`, '/mount/v1/a?b=c', { headers: { host: 'service.test:80' } });
    expect([status, headers.location]).toEqual([308, `https://service.test:${new URL(url).port}/mount/v1/a?b=c`]);
    for (const host of ['evil.test/x', 'a@b', 'a:b']) expect((await sendRaw(`http://127.0.0.1:${redirectPort}`, '/', { headers: { host } })).status).toBe(400);
    await expect(ask('/livez', { maxVersion: 'TLSv1.1' })).rejects.toThrow('alert protocol version');
  });

  it('ends connections that do not get on with their greeting', async () => {
    const plain = url.replace('https:', 'http:');
    // Nothing at all, and the beginning of a greeting that says it is long.
    const talks = await Promise.all(['', Buffer.from('160301020001', 'hex')].map((bytes) => converse(plain, bytes)));
    expect(talks.map(({ closed, said }) => [closed, statusesIn(said)])).toEqual([[true, []], [true, []]]);
  });

  it('shows a new certificate without a restart when the link to its files is swapped, and says when it ends', async () => {
    const second = await certificates.make({ subject: '/CN=second', issuer: authority, names: NAMES, days: 9 });
    const before = await metric('translocator_tls_certificate_expiry_timestamp_seconds');
    await show(second, 'v2');
    await eventually('the second is shown', async () => (await ask('/livez')).shown === 'second');
    expect((await metric('translocator_tls_certificate_expiry_timestamp_seconds')) - before).toBeGreaterThan(6 * 86_400);
    expect(log.some((line) => line.includes('a new TLS certificate is shown'))).toBe(true);
  });

  it('goes on with what it has while the files do not fit together, are cut, or are gone, and takes the next good ones', async () => {
    const third = await certificates.make({ subject: '/CN=third', issuer: authority, names: NAMES });
    const ended = await certificates.make({ subject: '/CN=ended', issuer: authority, names: NAMES, days: -1 });
    const wrong = [
      { certificate: third.certificate, key: authority.key },
      { certificate: third.certificate.slice(0, 200), key: third.key },
      { certificate: third.certificate, key: '' },
      ended,
    ];
    let refused = (await metric(REFUSED)) || 0;
    for (const [place, pair] of wrong.entries()) {
      await show(pair, `wrong-${place}`);
      await eventually('it was refused', async () => (await metric(REFUSED)) === refused + 1);
      refused += 1;
      expect((await ask('/livez')).shown).toBe('second');
    }
    await unlink(join(folder, 'shown'));
    await eventually('it was noticed', async () => (await metric(REFUSED)) === refused + 1);
    expect((await ask('/livez')).shown).toBe('second');
    expect(log.filter((line) => line.includes('were refused')).every((line) => !line.includes('PRIVATE KEY'))).toBe(true);
    await show(third, 'v3');
    await eventually('the third is shown', async () => (await ask('/livez')).shown === 'third');
  }, 300_000);

  it('lets in whom a client certificate names, for what it may, and nobody else', async () => {
    const of = (subject: string, names?: string, issuer = clientsAuthority) => certificates.make({ subject, issuer, ...(names === undefined ? {} : { names }) });
    const registry = await of('/CN=anything', 'URI:spiffe://test/registry');
    const operator = await of('/CN=operator');
    const lookup = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    expect((await ask('/v1/lookup', { ...lookup, client: registry })).status).toBe(400);
    expect((await ask('/api/v1/regions', { client: registry })).status).toBe(403);
    expect((await ask('/api/v1/regions', { client: operator })).status).toBe(200);
    expect((await ask('/api/v1/regions', { client: operator, headers: { authorization: 'Bearer made-up-0123456789' } })).status).toBe(401);
    expect((await ask('/api/v1/regions', { headers: { authorization: `Bearer ${TOKENS.admin}` } })).status).toBe(200);
    const strangers = [
      await of('/CN=operator', undefined, authority),
      await certificates.make({ subject: '/CN=operator' }),
      await of('/CN=other', 'URI:spiffe://test/registry/x,DNS:spiffe'),
      await of('/CN=operator2/O=CN=operator'),
      await of('/CN=a/CN=operator'),
      await of('/CN=x', 'email:a@b'),
    ];
    for (const client of strangers) expect((await ask('/api/v1/regions', { client })).status).toBe(401);
    const audit = await ask('/api/v1/plans', { client: operator, method: 'POST' });
    expect(audit.status).toBe(202);
    expect((await ask('/api/v1/audit?actor=certificate:CN%3Doperator', { client: operator })).text).toContain('/api/v1/plans');
  });

  it('is not started with files that cannot serve, rather than without TLS', async () => {
    const key = join(folder, 'other.key');
    await writeFile(key, authority.key);
    const tls = { certificate: shown('tls.crt'), key };
    await expect(startService({ folder: join(folder, 'another'), registryUrl: 'http://127.0.0.1:9' }, { overrides: { server: { tls } } })).rejects.toMatchObject({ message: `${key} is not the key of ${shown('tls.crt')}` });
    expect(existsSync(key) && (await readFile(key, 'utf8')).length > 0).toBe(true);
  });
});
