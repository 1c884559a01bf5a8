import { afterEach, describe, expect, it } from 'vitest';

import { FailureBuckets, FAILURES_BURST } from '#access';
import { ManualClock } from '#clock/testing';
import type { Reference } from '#oci';
import type { TokenVerdict } from '#registry';
import { type LocalRegistry, pushImage } from '#registry/local';
import { RegistryBench, sampleImage, targetIn } from '#registry/testing';

import { ANSWER_KEPT_MS, PullAuthority, REFUSAL_KEPT_MS } from './pull-authority.js';

const V1: Reference = { kind: 'tag', tag: 'v1' };
const users = [{ username: 'ada', password: 'pw', repositories: ['team/app'] }];
const ADA = `Basic ${Buffer.from('ada:pw').toString('base64')}`;
const bench = new RegistryBench();
afterEach(() => bench.close());

async function start(): Promise<{ registry: LocalRegistry; authority: PullAuthority; clock: ManualClock; asked: () => number }> {
  const registry = await bench.registry({ access: { kind: 'basic', users } });
  await pushImage({ ...targetIn(registry), authorization: ADA }, 'v1', sampleImage(['a']));
  const clock = new ManualClock();
  const before = registry.seen.length;
  return { registry, clock, authority: new PullAuthority(bench.client(registry.url), clock), asked: () => registry.seen.length - before };
}

describe('the right to pull', () => {
  it('is what the registry says to the caller’s own credentials', async () => {
    const { authority } = await start();
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect(await authority.rightTo('team/other', V1, ADA)).toBe('denied');
    expect(await authority.rightTo('team/app', { kind: 'tag', tag: 'v2' }, ADA)).toBe('unknown');
    expect(await authority.rightTo('team/app', V1, undefined)).toEqual({ challenge: expect.stringMatching(/^Basic realm=/) });
    expect(await authority.rightTo('team/app', V1, 'Basic bm9ib2R5Og==')).toEqual({ challenge: expect.stringMatching(/^Basic realm=/) });
  });

  it('is asked once for callers that ask the same at the same time, and kept for a minute', async () => {
    const { authority, clock, asked } = await start();
    expect(await Promise.all(Array.from({ length: 20 }, () => authority.rightTo('team/app', V1, ADA)))).toEqual(Array(20).fill('allowed'));
    await clock.advance(ANSWER_KEPT_MS - 1);
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect(asked()).toBe(1);
    await clock.advance(1);
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect(asked()).toBe(2);
  });

  it('that was refused is asked for again after two seconds', async () => {
    const { authority, registry, clock } = await start();
    const missing: Reference = { kind: 'tag', tag: 'soon' };
    expect(await authority.rightTo('team/app', missing, ADA)).toBe('unknown');
    await pushImage({ ...targetIn(registry), authorization: ADA }, 'soon', sampleImage(['b']));
    expect(await authority.rightTo('team/app', missing, ADA)).toBe('unknown');
    await clock.advance(REFUSAL_KEPT_MS);
    expect(await authority.rightTo('team/app', missing, ADA)).toBe('allowed');
  });

  it('is not waited for much longer than usual, and remembered when it comes late', async () => {
    const late = Promise.withResolvers<'allowed'>();
    const words = [Promise.resolve('denied' as const), late.promise];
    const authority = new PullAuthority({ probe: () => words.shift()! }, new ManualClock(), { patienceMinMs: 1 });
    // Nothing is usual yet: the first word is waited for.
    expect(await authority.rightTo('team/other', V1, ADA)).toBe('denied');
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('unavailable');
    late.resolve('allowed');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect(words).toEqual([]);
  });

  it('of one caller, repository or reference is never given to another', async () => {
    const { authority, asked } = await start();
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect(await authority.rightTo('team/app', V1, `Basic ${Buffer.from('ada:other').toString('base64')}`)).not.toBe('allowed');
    expect(await authority.rightTo('team', { kind: 'tag', tag: 'app_v1' }, ADA)).not.toBe('allowed');
    expect(asked()).toBe(3);
  });

  it('is unavailable while the registry fails, without an error, and is not remembered as such', async () => {
    const { authority, registry } = await start();
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 });
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('unavailable');
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    await registry.stop();
    expect(await authority.rightTo('team/app', { kind: 'tag', tag: 'v2' }, ADA)).toBe('unavailable');
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
  });

  it('of a caller whose header is no header is denied without a request', async () => {
    const { authority, asked } = await start();
    expect(await authority.rightTo('team/app', V1, 'Basic x\r\nHost: elsewhere')).toBe('denied');
    expect(asked()).toBe(0);
  });

  it('of a token that names its own end is not remembered beyond it', async () => {
    const { authority, clock, registry, asked } = await start();
    const ending = `Bearer x.${Buffer.from(JSON.stringify({ exp: clock.now().getTime() / 1000 + 5 })).toString('base64url')}.y`;
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 404 }, 10);
    expect(await authority.rightTo('team/app', V1, ending)).toBe('unknown');
    expect(await authority.rightTo('team/app', V1, ending)).toBe('unknown');
    expect(asked()).toBe(1);
    const ended = `Bearer x.${Buffer.from(JSON.stringify({ exp: 1 })).toString('base64url')}.y`;
    for (let count = 0; count < 2; count += 1) await authority.rightTo('team/app', V1, ended);
    expect(asked()).toBe(3);
  });

  it('is told by a verified token without a request, and asked for where that does not tell', async () => {
    const { registry, clock, asked } = await start();
    const verdicts: Record<string, TokenVerdict> = {
      good: { kind: 'good', pulls: new Set(['team/app']) }, bad: { kind: 'refused', reason: 'signature' }, opaque: { kind: 'opaque' }, early: { kind: 'keys-unavailable' }, late: { kind: 'time-doubtful' },
    };
    const tokens = { realm: 'https://auth.test/token', service: 'registry.test', verifier: { verify: async (text: string) => verdicts[text]! } };
    const refusals: string[] = [];
    const authority = new PullAuthority(bench.client(registry.url), clock, { tokens, onRefused: (reason) => refusals.push(reason) });
    const challenge = (repository: string, error: string): string => `Bearer realm="https://auth.test/token",service="registry.test",scope="repository:${repository}:pull",error="${error}"`;
    expect(await authority.rightTo('team/app', V1, 'Bearer good')).toBe('allowed');
    expect(await authority.rightTo('team/other', V1, 'Bearer good')).toEqual({ challenge: challenge('team/other', 'insufficient_scope'), insufficient: true });
    expect(await authority.rightTo('team/app', V1, 'Bearer bad')).toEqual({ challenge: challenge('team/app', 'invalid_token') });
    expect([asked(), refusals]).toEqual([0, ['signature']]);
    for (const left of ['Bearer opaque', 'Bearer early', 'Bearer late', undefined]) expect(await authority.rightTo('team/app', V1, left)).toEqual({ challenge: expect.stringMatching(/^Basic realm=/) });
    expect(await authority.rightTo('team/app', V1, ADA)).toBe('allowed');
    expect([asked(), refusals]).toEqual([5, ['signature', 'registry', 'registry', 'registry']]);
  });

  it('is kept for a minute of a token whose times the clock here cannot judge, whatever its end is by this clock', async () => {
    const { registry, clock, asked } = await start();
    const tokens = { realm: 'https://auth.test/token', service: 'registry.test', verifier: { verify: async () => ({ kind: 'time-doubtful' }) as const } };
    const authority = new PullAuthority(bench.client(registry.url), clock, { tokens });
    const ended = `Bearer x.${Buffer.from(JSON.stringify({ exp: 1 })).toString('base64url')}.y`;
    for (let count = 0; count < 3; count += 1) await authority.rightTo('team/app', V1, ended);
    expect(asked()).toBe(1);
  });

  it('is anybody’s where the registry lets anybody pull, also where tokens are verified', async () => {
    const registry = await bench.registry({});
    await pushImage(targetIn(registry), 'v1', sampleImage(['a']));
    const tokens = { realm: 'https://auth.test/token', service: 'registry.test', verifier: { verify: async () => ({ kind: 'refused', reason: 'signature' }) as const } };
    const authority = new PullAuthority(bench.client(registry.url), new ManualClock(), { tokens });
    expect(await authority.rightTo('team/app', V1, undefined)).toBe('allowed');
    // Who shows something shows something good.
    expect(await authority.rightTo('team/app', V1, 'Bearer bad')).toMatchObject({ challenge: expect.stringContaining('invalid_token') });
  });

  it('is not asked for any more by an address that has failed too often, unless it is known or needs no asking', async () => {
    const { registry, clock, asked } = await start();
    const failures = new FailureBuckets();
    const authority = new PullAuthority(bench.client(registry.url), clock, { failures });
    expect(await authority.rightTo('team/app', V1, ADA, '10.0.0.1')).toBe('allowed');
    for (let count = 0; count < FAILURES_BURST; count += 1) failures.failed('10.0.0.1', clock.now().getTime());
    const before = asked();
    expect(await authority.rightTo('team/app', V1, 'Bearer guess', '10.0.0.1')).toEqual({ waitMs: 500 });
    expect(await authority.rightTo('team/app', V1, ADA, '10.0.0.1')).toBe('allowed');
    expect(asked()).toBe(before);
    expect(await authority.rightTo('team/app', V1, undefined, '10.0.0.1')).toEqual({ challenge: expect.any(String) });
    expect(await authority.rightTo('team/app', V1, 'Bearer guess', '10.0.0.2')).toEqual({ challenge: expect.any(String) });
  });
});
