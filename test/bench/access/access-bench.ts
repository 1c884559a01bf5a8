import { generateKeyPairSync, hash, randomUUID } from 'node:crypto';

import { jwtVerify, SignJWT } from 'jose';
import pg from 'pg';

import { newSecretText, secretHashOf, type ServiceToken, TokenBook, TokenFeeder } from '#access';
import { PostgresServiceTokenStore } from '#access/typeorm';
import { after, SystemClock } from '#clock';
import { openDataSource } from '#database';
import { MIGRATIONS } from '#migrations';
import { DAY_MS } from '#quantities';
import { TokenKeys, TokenVerifier } from '#registry';

import { type Bench, BenchError, type Figure, measured, median, ratioAtMost } from '../bench.js';

/** Names a PostgreSQL server on which a database may be made. */
const POSTGRES_URL = 'TRANSLOCATOR_TEST_POSTGRES_URL';
/** As many tokens as may hold. */
const TOKENS = 1000;
const ROUNDS = 7;
const CHECKS = 100_000;
const VERIFICATIONS = 2000;
const REVOCATIONS = 100;
/** What is promised of a revocation, in milliseconds. */
const REVOKED_WITHIN_MS = 1000;

const clock = new SystemClock();

function aToken(): { readonly token: ServiceToken; readonly secretHash: Buffer; readonly text: string } {
  const id = randomUUID();
  const text = newSecretText(id);
  const createdAt = clock.now();
  return { token: { id, name: 'bench', scopes: ['lookup'], createdAt, createdBy: 'bench', expiresAt: after(createdAt, DAY_MS) }, secretHash: secretHashOf(text), text };
}

/** Nanoseconds of one call, the middle one of some rounds. */
async function nsOf(count: number, call: () => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = process.hrtime.bigint();
    for (let done = 0; done < count; done += 1) await call();
    rounds.push(Number(process.hrtime.bigint() - startedAt) / count);
  }
  return median(rounds);
}

/** The same of calls that wait for nothing. */
function nsOfPlain(count: number, call: () => unknown): number {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = process.hrtime.bigint();
    for (let done = 0; done < count; done += 1) call();
    rounds.push(Number(process.hrtime.bigint() - startedAt) / count);
  }
  return median(rounds);
}

async function checks(): Promise<readonly Figure[]> {
  const book = new TokenBook({ clock, bootstrap: [{ actor: 'admin', secretText: 'a-token-of-the-environment', scopes: ['admin:write'] }] });
  const kept = Array.from({ length: TOKENS }, aToken);
  book.replace({ tokens: kept });
  const { text } = kept[500]!;
  const authorization = `Bearer ${text}`;
  if (book.check(authorization, 'lookup').kind !== 'allowed') throw new BenchError('a good token was refused');
  const bareNs = nsOfPlain(CHECKS, () => hash('sha256', text, 'buffer'));
  const checkNs = nsOfPlain(CHECKS, () => book.check(authorization, 'lookup'));
  const refusedNs = nsOfPlain(CHECKS, () => book.check(`${authorization}x`, 'lookup'));
  return [
    measured('a service token is checked, among 1,000', checkNs / 1000, 'µs'),
    measured('a made-up one is refused', refusedNs / 1000, 'µs'),
    ratioAtMost('a service token is checked', checkNs / bareNs, { against: 'one bare sha256 of the same text', bound: 3 }),
  ];
}

async function verifications(): Promise<readonly Figure[]> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const keys = new TokenKeys({ sources: [async () => pem], clock, onFailure: () => undefined });
  const verifier = new TokenVerifier({ keys, clock, audience: 'registry', leewayMs: 0 });
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = await new SignJWT({ aud: 'registry', exp, access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }] }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);
  if ((await verifier.verify(text)).kind !== 'good') throw new BenchError('a good token of a registry was refused');
  const againNs = await nsOf(VERIFICATIONS, () => verifier.verify(text));
  const joseNs = await nsOf(VERIFICATIONS / 10, () => jwtVerify(text, publicKey, { audience: 'registry' }));
  return [
    measured('a registry\'s token (RS256, 2048 bits) is verified by jose', joseNs / 1000, 'µs'),
    measured('the same token is shown again', againNs / 1000, 'µs'),
    ratioAtMost('a registry\'s token is shown again', againNs / joseNs, { against: 'verifying it each time', bound: 0.1 }),
  ];
}

async function revocations(serverUrl: string, tell: (line: string) => void): Promise<readonly Figure[]> {
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  const name = `translocator_bench_${randomUUID().replaceAll('-', '')}`;
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const [here, there] = [await openDataSource({ kind: 'server', url: url.toString(), poolSize: 2 }, MIGRATIONS), await openDataSource({ kind: 'server', url: url.toString(), poolSize: 2 }, MIGRATIONS)];
  const neighbour = new pg.Client({ connectionString: url.toString() });
  await neighbour.connect();
  try {
    const store = new PostgresServiceTokenStore(here);
    const book = new TokenBook({ clock, bootstrap: [] });
    const feeder = new TokenFeeder({ store: new PostgresServiceTokenStore(there), book, clock, onFailure: (error) => tell(String(error)) });
    // A transaction that has written and does not end holds back the change feed, and not this.
    await neighbour.query('BEGIN; INSERT INTO changes (topic, key) VALUES (\'nobody\', \'{x}\')');
    feeder.start();
    const waitsMs: number[] = [];
    for (let count = 0; count < REVOCATIONS; count += 1) {
      const { text, ...kept } = aToken();
      const allowed = (): boolean => book.check(`Bearer ${text}`, 'lookup').kind === 'allowed';
      await store.create(kept);
      while (!allowed()) await clock.sleep(5);
      // At another place between two looks each time.
      await clock.sleep((count * 37) % 250);
      await store.revoke(kept.token.id, clock.now());
      const revokedAt = performance.now();
      while (allowed()) await clock.sleep(1);
      waitsMs.push(performance.now() - revokedAt);
    }
    await feeder.stop();
    const sorted = waitsMs.toSorted((a, b) => a - b);
    const [p99, longest] = [sorted[Math.ceil(sorted.length * 0.99) - 1]!, sorted.at(-1)!];
    return [
      measured('a revocation is known in another process, the middle of 100', median(sorted), 'ms'),
      measured('the same, p99', p99, 'ms'),
      ratioAtMost('the same, the longest', longest / REVOKED_WITHIN_MS, { against: 'the second that is promised', bound: 1 }),
    ];
  } finally {
    await neighbour.end();
    await Promise.all([here.destroy(), there.destroy()]);
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
}

/** Measures what it costs to ask who may, and how soon a revocation is known everywhere. */
export const accessBench: Bench = {
  question: 'what does it cost to ask who may, and how soon does a revoked token open nothing anywhere?',
  run: async (tell) => {
    const serverUrl = process.env[POSTGRES_URL];
    if (serverUrl === undefined) throw new BenchError(`${POSTGRES_URL} must name a PostgreSQL server on which a database may be made`);
    const figures = [...(await checks()), ...(await verifications())];
    tell('checks and verifications are measured; a hundred revocations follow');
    return [...figures, ...(await revocations(serverUrl, tell))];
  },
};
