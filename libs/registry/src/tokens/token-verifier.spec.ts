import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SignJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';

import { keySetAt } from '../http/fetch-key-set.js';
import { KEYS_FRESH_MS, KEYS_MISSED_EVERY_MIN_MS, KEYS_READ_EVERY_MIN_MS, type KeyText, TokenKeys } from './token-keys.js';
import { CLOCK_WRONG_MAX_MS, TOKEN_LENGTH_MAX, TokenVerifier } from './token-verifier.js';
import { parseVerificationKeys } from './verification-key.js';

const START = new Date('2026-01-01T00:00:00.000Z');
const NOW_S = START.getTime() / 1000;
const LEEWAY_MS = 30_000;

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const ec = (): Pair => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwkOf = ({ publicKey }: Pair, more: Record<string, unknown> = {}) => ({ ...publicKey.export({ format: 'jwk' }), ...more });
const setOf = (...keys: readonly unknown[]): string => JSON.stringify({ keys });

function token(pair: Pair, { header = {}, claims = {} }: { header?: Record<string, unknown>; claims?: Record<string, unknown> } = {}): Promise<string> {
  const payload = { aud: 'registry', exp: NOW_S + 300, access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }], ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', ...header } as { alg: string }).sign(pair.privateKey);
}

function start(...sources: readonly KeyText[]) {
  const clock = new ManualClock(START);
  const failures: unknown[] = [];
  const keys = new TokenKeys({ sources, clock, onFailure: (error) => failures.push(error) });
  return { clock, failures, keys, verifier: new TokenVerifier({ keys, clock, audience: 'registry', leewayMs: LEEWAY_MS }) };
}
const refused = (reason: string) => ({ kind: 'refused', reason });
const GOOD = { kind: 'good', pulls: new Set(['team/app']) };

describe('a verified token', () => {
  it.each([
    ['P-256', ec(), 'ES256'],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }), 'ES384'],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }), 'RS256'],
    ['RSA, with PSS', generateKeyPairSync('rsa', { modulusLength: 2048 }), 'PS384'],
    ['Ed25519', generateKeyPairSync('ed25519'), 'EdDSA'],
  ] as readonly [string, Pair, string][])('may be signed with %s, by a set or by PEM', async (_name, pair, alg) => {
    const text = await token(pair, { header: { alg } });
    for (const source of [setOf(jwkOf(pair)), pair.publicKey.export({ type: 'spki', format: 'pem' }) as string]) {
      expect(await start(async () => source).verifier.verify(text)).toEqual(GOOD);
    }
  });

  it('holds until its end and the leeway, and is verified once', async () => {
    const pair = ec();
    const { clock, verifier } = start(async () => setOf(jwkOf(pair)));
    const text = await token(pair);
    expect(await verifier.verify(text)).toEqual(GOOD);
    expect(await verifier.verify(text)).toBe(await verifier.verify(text));
    await clock.advance(300_000 + LEEWAY_MS - 1);
    expect(await verifier.verify(text)).toEqual(GOOD);
    await clock.advance(1);
    expect(await verifier.verify(text)).toEqual({ kind: 'time-doubtful' });
    expect(verifier.size).toBe(0);
    await clock.advance(CLOCK_WRONG_MAX_MS + 1);
    expect(await verifier.verify(text)).toEqual(refused('expired'));
  });

  it('is worth nothing any more when its key is withdrawn', async () => {
    const [old, fresh] = [ec(), ec()];
    let published = setOf(jwkOf(old));
    const { clock, keys, verifier } = start(async () => published);
    const text = await token(old, { claims: { exp: NOW_S + 86_400 } });
    expect(await verifier.verify(text)).toEqual(GOOD);
    published = setOf(jwkOf(fresh));
    await clock.advance(KEYS_FRESH_MS);
    await verifier.verify(text);
    // Reading goes on behind the answer.
    while (keys.generation === 1) await new Promise((resolve) => setImmediate(resolve));
    expect((await verifier.verify(text)).kind).toBe('refused');
  });

  it('is remembered among a bounded number, of which the one that was not shown for longest goes', async () => {
    const pair = ec();
    const { keys, clock } = start(async () => setOf(jwkOf(pair)));
    const verifier = new TokenVerifier({ keys, clock, audience: 'registry', leewayMs: LEEWAY_MS, rememberedMax: 2 });
    const [first, second, third] = await Promise.all(['1', '2', '3'].map((jti) => token(pair, { claims: { jti } }))) as [string, string, string];
    const verdict = await verifier.verify(first);
    await verifier.verify(second);
    await verifier.verify(first);
    const before = await verifier.verify(second);
    await verifier.verify(first);
    await verifier.verify(third);
    expect(verifier.size).toBe(2);
    // The same object, for it was remembered; another one, for it was verified again.
    expect(await verifier.verify(first)).toBe(verdict);
    expect(await verifier.verify(second)).not.toBe(before);
    for (let count = 0; count < 5; count += 1) expect((await verifier.verify(`${first}x`)).kind).toBe('refused');
    expect(verifier.size).toBe(2);
  });
});

describe('a token that is not good', () => {
  it.each([
    ['audience', { claims: { aud: 'other' } }, 'audience'],
    ['audience of a wrong kind', { claims: { aud: 7 } }, 'audience'],
    ['end of a wrong kind', { claims: { exp: 'soon' } }, 'malformed'],
    ['missing end', { claims: { exp: undefined } }, 'malformed'],
    ['beginning', { claims: { nbf: NOW_S + 3600 } }, 'not-yet'],
    ['end', { claims: { exp: NOW_S - 3600 } }, 'expired'],
  ] as const)('is refused for its %s', async (_what, wish, reason) => {
    const pair = ec();
    expect(await start(async () => setOf(jwkOf(pair))).verifier.verify(await token(pair, wish))).toEqual(refused(reason));
  });

  it('is left to the registry when nothing but its time is wrong, and by no more than clocks are', async () => {
    const pair = ec();
    const { verifier } = start(async () => setOf(jwkOf(pair)));
    const off = (LEEWAY_MS + CLOCK_WRONG_MAX_MS) / 1000;
    for (const claims of [{ nbf: NOW_S + off }, { exp: NOW_S - off }, { nbf: NOW_S + 60 }, { exp: NOW_S - 60 }]) expect(await verifier.verify(await token(pair, { claims }))).toEqual({ kind: 'time-doubtful' });
    expect(await verifier.verify(await token(pair, { claims: { nbf: NOW_S + off + 1 } }))).toEqual(refused('not-yet'));
    expect(await verifier.verify(await token(pair, { claims: { exp: NOW_S - off - 1 } }))).toEqual(refused('expired'));
    expect(await verifier.verify(await token(pair, { claims: { exp: NOW_S - 60, aud: 'other' } }))).toEqual(refused('audience'));
    expect(await verifier.verify(await token(ec(), { claims: { exp: NOW_S - 60 } }))).toEqual(refused('signature'));
    // Nothing of it is remembered: by the next look the clock may be right.
    expect(verifier.size).toBe(0);
  });

  it('is refused for an extension that it demands', async () => {
    const pair = ec();
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'ES256', crit: ['exp-policy'], 'exp-policy': 'strict' })}.${part({ aud: 'registry', exp: NOW_S + 300, access: [] })}`;
    const signature = sign('sha256', Buffer.from(signed), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    expect((await start(async () => setOf(jwkOf(pair))).verifier.verify(`${signed}.${signature}`)).kind).toBe('refused');
  });

  it('is refused for an algorithm that its key is not for, or that is not public', async () => {
    const pair = ec();
    const [, payload, signature] = (await token(pair)).split('.');
    for (const alg of ['none', 'HS256', 'HS384', 'RS256', 'ES384', 'dir', 'A128KW', '']) {
      const header = Buffer.from(JSON.stringify({ alg })).toString('base64url');
      expect(await start(async () => setOf(jwkOf(pair))).verifier.verify(`${header}.${payload}.${signature}`)).toEqual(refused('algorithm'));
    }
    const onlyPss = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await start(async () => setOf(jwkOf(onlyPss, { alg: 'PS256' }))).verifier.verify(await token(onlyPss, { header: { alg: 'RS256' } }))).toEqual(refused('algorithm'));
  });

  it('is left to the registry when it is no signed token at all', async () => {
    const { verifier } = start(async () => setOf(jwkOf(ec())));
    for (const text of ['opaque', 'a.b', 'a.b.c.d', 'x.y.z', '{}.{}.{}']) expect(await verifier.verify(text)).toEqual({ kind: 'opaque' });
    expect(await verifier.verify('x'.repeat(TOKEN_LENGTH_MAX + 1))).toEqual(refused('malformed'));
  });
});

describe('keys', () => {
  it('are read again for a key id that is not known, but not for every one', async () => {
    const [old, fresh] = [ec(), ec()];
    let published = setOf(jwkOf(old, { kid: 'old' }));
    let reads = 0;
    const { clock, verifier } = start(async () => {
      reads += 1;
      return published;
    });
    expect(await verifier.verify(await token(old, { header: { kid: 'old' } }))).toEqual(GOOD);
    published = setOf(jwkOf(old, { kid: 'old' }), jwkOf(fresh, { kid: 'fresh' }));
    await clock.advance(KEYS_READ_EVERY_MIN_MS);
    expect(await verifier.verify(await token(fresh, { header: { kid: 'fresh' } }))).toEqual(GOOD);
    expect(reads).toBe(2);
    for (let count = 0; count < 20; count += 1) expect(await verifier.verify(await token(old, { header: { kid: `made-up-${count}` } }))).toEqual(refused('key-unknown'));
    expect(reads).toBe(2);
  });

  it('that changed right after they were read are known at once, and those that change again a moment later within two seconds', async () => {
    const [first, second, third] = ['first', 'second', 'third'].map((kid) => ({ pair: ec(), kid }));
    let published = first!;
    let reads = 0;
    const { clock, verifier } = start(async () => {
      reads += 1;
      return setOf(jwkOf(published.pair, { kid: published.kid }));
    });
    const verdictOn = async ({ pair, kid }: NonNullable<typeof first>): Promise<unknown> => verifier.verify(await token(pair, { header: { kid } }));
    expect(await verdictOn(first!)).toEqual(GOOD);
    published = second!;
    expect([await verdictOn(second!), reads]).toEqual([GOOD, 2]);
    published = third!;
    await clock.advance(KEYS_MISSED_EVERY_MIN_MS - 1);
    expect([await verdictOn(third!), reads]).toEqual([refused('key-unknown'), 2]);
    await clock.advance(1);
    expect([await verdictOn(third!), reads]).toEqual([GOOD, 3]);
    expect(await verdictOn(first!)).toEqual(refused('key-unknown'));
  });

  it('that changed while they were being read are read once more for the token that came meanwhile', async () => {
    const [old, fresh] = [ec(), ec()];
    const early = Promise.withResolvers<string>();
    const texts = [early.promise, Promise.resolve(setOf(jwkOf(fresh, { kid: 'fresh' })))];
    const { keys, verifier } = start(() => texts.shift()!);
    // What answers it was made before the key changed.
    const reading = keys.refresh();
    const [own, rotated] = await Promise.all([token(old, { header: { kid: 'old' } }), token(fresh, { header: { kid: 'fresh' } })]);
    const verdicts = Promise.all([verifier.verify(own), verifier.verify(rotated)]);
    early.resolve(setOf(jwkOf(old, { kid: 'old' })));
    await reading;
    expect(await verdicts).toEqual([GOOD, GOOD]);
    expect(texts).toEqual([]);
  });

  it('that tokens do not name are read again, too, when none fits', async () => {
    const [old, fresh] = [ec(), ec()];
    let published = setOf(jwkOf(old));
    const { verifier } = start(async () => published);
    expect(await verifier.verify(await token(old))).toEqual(GOOD);
    published = setOf(jwkOf(fresh));
    expect(await verifier.verify(await token(fresh))).toEqual(GOOD);
    expect(await verifier.verify(await token(old, { claims: { jti: 'another' } }))).toEqual(refused('signature'));
  });

  it('are read once every two seconds, however many strangers name keys, and a new one is known within that time among them', async () => {
    const [own, stranger, fresh] = [ec(), ec(), ec()];
    let published = setOf(jwkOf(own, { kid: 'own' }));
    let reads = 0;
    const { clock, verifier } = start(async () => {
      reads += 1;
      return published;
    });
    const strangers = await Promise.all(Array.from({ length: 40 }, (_none, n) => token(stranger, { header: { kid: `made-up-${n}` } })));
    const freshToken = await token(fresh, { header: { kid: 'fresh' } });
    await verifier.verify(await token(own, { header: { kid: 'own' } }));
    let isKnownAfterMs: number | undefined;
    const STEP_MS = 100;
    for (let atMs = 0; atMs < 20_000; atMs += STEP_MS) {
      const verdicts = await Promise.all(strangers.map((text) => verifier.verify(text)));
      // A reading that is under way may yet bring the key.
      expect(verdicts.every(({ kind }) => kind === 'refused' || kind === 'keys-unavailable')).toBe(true);
      if (atMs === 10_100) published = setOf(jwkOf(own, { kid: 'own' }), jwkOf(fresh, { kid: 'fresh' }));
      if (atMs >= 10_100 && isKnownAfterMs === undefined && (await verifier.verify(freshToken)).kind === 'good') isKnownAfterMs = atMs - 10_100;
      await clock.advance(STEP_MS);
    }
    expect(reads).toBeLessThanOrEqual(1 + 20_000 / KEYS_MISSED_EVERY_MIN_MS);
    expect(isKnownAfterMs).toBeLessThanOrEqual(KEYS_MISSED_EVERY_MIN_MS);
  });

  it('that are missed by many tokens at once are read once for all, and none of them waits for whoever says nothing', async () => {
    const own = ec();
    let source: KeyText = async () => setOf(jwkOf(own, { kid: 'own' }));
    const { clock, verifier } = start(() => source());
    await verifier.verify(await token(own, { header: { kid: 'own' } }));
    let reads = 0;
    const silence = Promise.withResolvers<string>();
    source = () => {
      reads += 1;
      return silence.promise;
    };
    await clock.advance(KEYS_MISSED_EVERY_MIN_MS);
    const strangers = await Promise.all(Array.from({ length: 50 }, (_none, n) => token(ec(), { header: { kid: `made-up-${n}` } })));
    const verdicts = await Promise.all(strangers.map((text) => verifier.verify(text)));
    expect([reads, new Set(verdicts.map(({ kind }) => kind))]).toEqual([1, new Set(['keys-unavailable'])]);
    silence.reject(new Error('no route'));
  });

  it('that were good stay while they cannot be read, or are no keys any more', async () => {
    const pair = ec();
    let source: KeyText = async () => setOf(jwkOf(pair));
    const { clock, failures, verifier } = start(() => source());
    expect(await verifier.verify(await token(pair))).toEqual(GOOD);
    for (const broken of [async () => Promise.reject(new Error('no route')), async () => '<html>maintenance</html>', async () => setOf(), async () => '{"keys":7}', async () => '{']) {
      source = broken;
      await clock.advance(KEYS_FRESH_MS);
      expect(await verifier.verify(await token(pair, { claims: { exp: NOW_S + 86_400 } }))).toEqual(GOOD);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(failures).toHaveLength(5);
  });

  it('that were never read leave the token to the registry, and are asked for at a bounded rate', async () => {
    let reads = 0;
    const { clock, verifier } = start(async () => {
      reads += 1;
      throw new Error('no route');
    });
    const text = await token(ec());
    for (let count = 0; count < 10; count += 1) expect(await verifier.verify(text)).toEqual({ kind: 'keys-unavailable' });
    expect(reads).toBe(1);
    await clock.advance(KEYS_READ_EVERY_MIN_MS);
    await verifier.verify(text);
    expect(reads).toBe(2);
  });

  it('that are not known while they cannot be read again leave the token to the registry, at once, and are known as soon as they can', async () => {
    const [old, fresh] = [ec(), ec()];
    let source: KeyText = async () => setOf(jwkOf(old, { kid: 'old' }));
    const { clock, verifier } = start(() => source());
    const [known, unknown] = await Promise.all([token(old, { header: { kid: 'old' } }), token(fresh, { header: { kid: 'fresh' } })]);
    expect(await verifier.verify(known)).toEqual(GOOD);
    const silence = Promise.withResolvers<string>();
    source = () => silence.promise;
    await clock.advance(KEYS_READ_EVERY_MIN_MS);
    // Whoever has the keys says nothing; waiting for it has an end.
    expect(await verifier.verify(unknown)).toEqual({ kind: 'keys-unavailable' });
    silence.reject(new Error('no route'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(await verifier.verify(unknown)).toEqual({ kind: 'keys-unavailable' });
    expect(await verifier.verify(known)).toEqual(GOOD);
    source = async () => setOf(jwkOf(fresh, { kid: 'fresh' }));
    await clock.advance(KEYS_READ_EVERY_MIN_MS);
    expect(await verifier.verify(unknown)).toEqual(GOOD);
    expect(await verifier.verify(await token(ec(), { header: { kid: 'made-up' } }))).toEqual(refused('key-unknown'));
  });

  it('of one source serve while another one does not answer, and nobody waits for that one twice', async () => {
    const pair = ec();
    let asked = 0;
    const silence = Promise.withResolvers<string>();
    const { clock, verifier } = start(async () => setOf(jwkOf(pair, { kid: 'here' })), () => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error('too late')) : silence.promise;
    });
    const text = await token(pair, { header: { kid: 'here' } });
    expect(await verifier.verify(text)).toEqual(GOOD);
    await clock.advance(KEYS_READ_EVERY_MIN_MS);
    expect(await verifier.verify(await token(pair, { header: { kid: 'here' }, claims: { jti: 'another' } }))).toEqual(GOOD);
    expect(asked).toBe(2);
    silence.resolve(setOf(jwkOf(pair)));
  });

  it('are none where there is nothing to verify with', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const texts = [
      setOf({ kty: 'oct', k: 'c2VjcmV0' }), setOf(jwkOf(ec(), { use: 'enc' })), setOf(jwkOf(weak)), setOf(jwkOf(ec(), { alg: 'HS256' })), setOf(null, 'x', 7),
      '', 'no pem', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', JSON.stringify({ keys: Array(65).fill(jwkOf(ec())) }),
    ];
    for (const text of texts) await expect(parseVerificationKeys(text)).rejects.toMatchObject({ code: 'TOKEN_KEYS_INVALID' });
  });
});

describe('a key set at a URL', () => {
  let server: Server | undefined;
  afterEach(() => server?.close().closeAllConnections());

  async function serve(answer: (path: string) => { status: number; body: string } | undefined): Promise<(path: string) => KeyText> {
    server = createServer((request, response) => {
      const given = answer(request.url ?? '');
      if (given !== undefined) response.writeHead(given.status).end(given.body);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return (path) => keySetAt(new URL(path, `http://127.0.0.1:${port}`), new ManualClock());
  }

  it('is read, and refused when it is too long, no answer of success, or does not come', async () => {
    const at = await serve((path) => ({ '/keys': { status: 200, body: '{"keys":[]}' }, '/long': { status: 200, body: ' '.repeat(300_000) }, '/gone': { status: 404, body: '' } })[path]);
    expect(await at('/keys')()).toBe('{"keys":[]}');
    await expect(at('/long')()).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
    await expect(at('/gone')()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await expect(at('/silent')()).rejects.toMatchObject({ name: expect.stringMatching(/^(TimeoutError|RegistryError)$/) });
  });
});
