import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hasProgram } from '#expansion/testing';
import { libtrustFingerprint } from '#registry';
import { type PushedManifest, pushImage } from '#registry/local';

import { type Certificate, Certificates } from './support/certificates.js';
import { REGISTRY_PROGRAM, startDebianRegistry } from './support/debian-registry.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { sendRaw } from './support/raw-http.js';
import { smallImage } from './support/real-layers.js';
import type { ServiceClient } from './support/service-client.js';
import { startService } from './support/start-service.js';
import { AUDIENCE, ISSUER, pullOf, TokenIssuer, type TokenWish, x5cOf } from './support/token-issuer.js';

const available = existsSync(REGISTRY_PROGRAM) && hasProgram('openssl');
const HOME = { 'x-teleport-region': 'westeurope' };
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json';
const APP = [pullOf('team/app')];
const seconds = (from: number): number => Math.floor(Date.now() / 1000) + from;
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe.skipIf(!available)('tokens of a registry: Debian\'s docker-registry and the service, told the same', () => {
  const undo = new AsyncDisposableStack();
  let registryUrl: string;
  let stopRegistry: () => Promise<void>;
  let client: ServiceClient;
  let issuer: TokenIssuer;
  let signer: Certificate;
  let root: Certificate;
  let leaf: Certificate;
  let stranger: Certificate;
  let strangersLeaf: Certificate;
  let app: PushedManifest;
  let secret: PushedManifest;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const certificates = new Certificates(folder);
    signer = await certificates.make({ subject: '/CN=signer' });
    root = await certificates.make({ subject: '/CN=root', authority: true });
    leaf = await certificates.make({ subject: '/CN=leaf', issuer: root });
    stranger = await certificates.make({ subject: '/CN=root', authority: true });
    strangersLeaf = await certificates.make({ subject: '/CN=leaf', issuer: stranger });
    const bundle = join(folder, 'bundle.pem');
    await writeFile(bundle, `${signer.certificate}\n${root.certificate}`);
    issuer = undo.use(await TokenIssuer.start(signer));
    const port = await freePort();
    registryUrl = `http://127.0.0.1:${port}`;
    const tokens = { realm: issuer.realm, service: AUDIENCE, issuer: ISSUER, keys: [{ file: bundle }] };
    const service = await startService(
      { folder: join(folder, 'service'), registryUrl },
      { overrides: { registry: { username: 'service', tokens } }, environment: { TRANSLOCATOR_REGISTRY_PASSWORD: 'whatever' } },
    );
    undo.defer(() => service.translocator.stop());
    client = service.client;
    const auth = { token: { realm: issuer.realm, service: AUDIENCE, issuer: ISSUER, rootcertbundle: bundle } };
    stopRegistry = await startDebianRegistry({ folder: join(folder, 'registry'), port, notifyUrl: `${client.url}/notifications`, auth });
    undo.defer(stopRegistry);
    const target = async (repository: string) => ({ url: registryUrl, repository, authorization: `Bearer ${await issuer.token({ access: [pullOf(repository, 'pull', 'push')] })}` });
    app = await pushImage(await target('team/app'), 'v1', smallImage('app'));
    secret = await pushImage(await target('team/secret'), 'v1', smallImage('secret'));
    await client.enable('team/app');
    await client.enable('team/secret');
    await eventually('both images are expanded at home', async () => {
      const answers = await Promise.all(['team/app', 'team/secret'].map(async (name) => pull(name, 'v1', await issuer.token({ access: [pullOf(name)] }))));
      return answers.every(({ body }) => body.layers?.every((layer) => layer.kind === 'mount'));
    });
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  const pull = (repository: string, reference: string, token: string) => client.pull(repository, reference, { ...HOME, authorization: `Bearer ${token}` });
  const registrySays = async (repository: string, token: string): Promise<number> =>
    (await sendRaw(registryUrl, `/v2/${repository}/manifests/v1`, { method: 'HEAD', headers: { accept: ACCEPT, authorization: `Bearer ${token}` } })).status;

  it('are asked for as the registry asks, and then let their holder in', async () => {
    const { status, headers } = await client.pull('team/app', 'v1', HOME);
    const challenge = String(headers['www-authenticate']);
    expect([status, challenge]).toEqual([401, `Bearer realm="${issuer.realm}",service="${AUDIENCE}",scope="repository:team/app:pull"`]);
    const given = await fetch(`${issuer.realm}?service=${AUDIENCE}&scope=repository:team/app:pull`, { headers: { authorization: `Basic ${btoa('alice:pw')}` } });
    const { token } = (await given.json()) as { token: string };
    expect((await pull('team/app', 'v1', token)).status).toBe(200);
  });

  it.each([
    ['signed by a key of the bundle', () => ({}), 200],
    ['for several repositories', () => ({ access: [pullOf('team/other'), ...APP] }), 200],
    ['that ended within the leeway of clocks', () => ({ claims: { exp: seconds(-5) } }), 200],
    ['with every right', () => ({ access: [pullOf('team/app', '*')] }), 200],
    // What the specifications of tokens allow, and this registry does not take: a list of audiences, and no key id.
    ['for several audiences', () => ({ claims: { aud: ['elsewhere', AUDIENCE] } }), 401],
    ['without a key id', () => ({ header: { kid: undefined } }), 401],
  ] as readonly [string, () => TokenWish, number][])('%s open the repository', async (_title, wish, there) => {
    const token = await issuer.token({ access: APP, ...wish() });
    expect([await registrySays('team/app', token), (await pull('team/app', 'v1', token)).status]).toEqual([there, 200]);
  });

  it('with a chain of certificates that ends at a root of the bundle open the repository here as there', async () => {
    const token = await issuer.token({ access: APP, signer: leaf, header: { kid: undefined, x5c: x5cOf(leaf, root) } });
    expect([await registrySays('team/app', token), (await pull('team/app', 'v1', token)).status]).toEqual([200, 200]);
    const short = await issuer.token({ access: APP, signer: leaf, header: { kid: undefined, x5c: x5cOf(leaf) } });
    expect([await registrySays('team/app', short), (await pull('team/app', 'v1', short)).status]).toEqual([200, 200]);
  });

  /** Tokens that somebody might try: what both have to answer. */
  const thefts: readonly (readonly [title: string, token: () => Promise<string> | string, here: number])[] = [
    ['for another registry', () => issuer.token({ access: APP, claims: { aud: 'other.registry' } }), 401],
    ['of another issuer', () => issuer.token({ access: APP, claims: { iss: 'evil.test' } }), 401],
    ['that ended', () => issuer.token({ access: APP, claims: { exp: seconds(-120) } }), 401],
    ['that does not hold yet', () => issuer.token({ access: APP, claims: { nbf: seconds(120) } }), 401],
    ['without an end', () => issuer.token({ access: APP, claims: { exp: undefined } }), 401],
    ['of a stranger under his own key id', () => issuer.token({ access: APP, signer: stranger }), 401],
    ['of a stranger under a good key id', () => issuer.token({ access: APP, signer: stranger, header: { kid: libtrustFingerprint(createPublicKey(signer.certificate)) } }), 401],
    ['of a stranger without a key id', () => issuer.token({ access: APP, signer: stranger, header: { kid: undefined } }), 401],
    ['with a chain of a root of the same name', () => issuer.token({ access: APP, signer: strangersLeaf, header: { kid: undefined, x5c: x5cOf(strangersLeaf, stranger) } }), 401],
    ['with a good chain and another key', () => issuer.token({ access: APP, signer: stranger, header: { kid: undefined, x5c: x5cOf(leaf, root) } }), 401],
    ['with a chain through a certificate that may sign none', () => issuer.token({ access: APP, signer: stranger, header: { kid: undefined, x5c: x5cOf(stranger, leaf, root) } }), 401],
    ['that bring their own key', async () => issuer.token({ access: APP, signer: stranger, header: { kid: undefined, jwk: createPublicKey(stranger.certificate).export({ format: 'jwk' }) } }), 401],
    ['that name where their key is', () => issuer.token({ access: APP, signer: stranger, header: { kid: undefined, jku: 'http://127.0.0.1:9/keys' } }), 401],
    ['without a signature', async () => `${encoded({ alg: 'none', typ: 'JWT' })}.${(await issuer.token({ access: APP })).split('.')[1]}.`, 401],
    ['that say none, with a signature', async () => {
      const [, payload, signature] = (await issuer.token({ access: APP })).split('.');
      return `${encoded({ alg: 'none', typ: 'JWT' })}.${payload}.${signature}`;
    }, 401],
    ['with the signature cut off', async () => (await issuer.token({ access: APP })).replace(/\.[^.]*$/, '.'), 401],
    ['with other claims under the signature of good ones', async () => {
      const [header, payload, signature] = (await issuer.token({ access: [] })).split('.');
      return `${header}.${encoded({ ...(JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as object), access: APP })}.${signature}`;
    }, 401],
    ['with the public key taken for the secret of an HMAC', async () => {
      const kid = libtrustFingerprint(createPublicKey(signer.certificate));
      const signed = `${encoded({ alg: 'HS256', typ: 'JWT', kid })}.${(await issuer.token({ access: APP })).split('.')[1]}`;
      return `${signed}.${createHmac('sha256', createPublicKey(createPrivateKey(signer.key)).export({ type: 'spki', format: 'pem' })).update(signed).digest('base64url')}`;
    }, 401],
    ['with the certificate taken for the secret of an HMAC', async () => {
      const signed = `${encoded({ alg: 'HS512', typ: 'JWT' })}.${(await issuer.token({ access: APP })).split('.')[1]}`;
      return `${signed}.${createHmac('sha512', signer.certificate).update(signed).digest('base64url')}`;
    }, 401],
    ['that are none', () => 'made.up.token', 401],
    ['for another repository', () => issuer.token({ access: [pullOf('team/secret')] }), 403],
    ['for nothing', () => issuer.token({ access: [] }), 403],
    ['for pushing only', () => issuer.token({ access: [pullOf('team/app', 'push')] }), 403],
    ['for a repository that begins alike', () => issuer.token({ access: [pullOf('team/ap'), pullOf('team/app2'), pullOf('team'), pullOf('team/*'), pullOf('')] }), 403],
    ['for a name that a path would make the same', () => issuer.token({ access: [pullOf('team/x/../app'), pullOf('TEAM/APP'), pullOf('team//app'), pullOf('team%2fapp'), pullOf('team/app/')] }), 403],
    ['for another kind of thing', () => issuer.token({ access: [{ type: 'registry', name: 'team/app', actions: ['pull'] }] }), 403],
    ['with rights of a wrong form', () => issuer.token({ claims: { access: { type: 'repository', name: 'team/app', actions: ['pull'] } } }), 403],
  ];

  it.each(thefts)('%s open nothing, here or there', async (_title, make, here) => {
    const token = await make();
    const there = await registrySays('team/app', token);
    const { status, headers, body, text } = await pull('team/app', 'v1', token);
    expect([status, there === 200, text.includes('mounts')]).toEqual([here, false, false]);
    const error = here === 403 ? 'insufficient_scope' : token === 'made.up.token' ? expect.any(String) : 'invalid_token';
    const challenge = Object.fromEntries([...String(headers['www-authenticate']).matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    expect(challenge).toMatchObject({ realm: issuer.realm, service: AUDIENCE, scope: 'repository:team/app:pull', error });
    expect(body).toMatchObject({ errors: [{ code: here === 403 ? 'DENIED' : 'UNAUTHORIZED' }] });
  });

  it('for one repository open no manifest and no layer of another, by whatever digest', async () => {
    const token = await issuer.token({ access: APP });
    for (const digest of [secret.digest, secret.layers[0] ?? '', app.layers[0] ?? '']) expect((await pull('team/app', digest, token)).status).toBe(404);
    expect((await pull('team/secret', 'v1', token)).status).toBe(403);
    expect((await pull('team/app', app.digest, token)).status).toBe(200);
  });

  it.each([
    'team/app/../secret', 'team/app/..%2fsecret', 'team/app/%2e%2e/secret', 'team/app/%2E%2E%2Fsecret', 'team%2fsecret', 'team//secret', '/team/secret', './team/secret', 'TEAM/secret', 'team/Secret', 'team/secret%00',
    'team/secret%20', 'team/s\u0435cret'.replaceAll('\u0435', '%D0%B5'), 'team/secret/', 'team%252fsecret', 'team\\secret', 'team/app;/../secret', 'team/secret%23',
  ])('are not got around by the name %s', async (name) => {
    const token = await issuer.token({ access: APP });
    const { status, text } = await client.call(`/mount/v1/${name}/_manifests/v1`, { headers: { ...HOME, authorization: `Bearer ${token}` } });
    expect([400, 403, 404]).toContain(status);
    expect(text).not.toContain('mounts');
  });

  it('are verified without the registry: those that it signed open what they opened while it is down', async () => {
    await stopRegistry();
    expect((await pull('team/app', 'v1', await issuer.token({ access: APP }))).body.layers).toEqual([expect.objectContaining({ kind: 'mount' })]);
    expect((await pull('team/app', 'v1', await issuer.token({ access: APP, signer: stranger }))).status).toBe(401);
    expect((await pull('team/app', 'v1', 'an-opaque-one')).body.layers).toEqual([expect.objectContaining({ kind: 'blob', reason: 'AUTHORIZATION_UNAVAILABLE' })]);
  });
});
