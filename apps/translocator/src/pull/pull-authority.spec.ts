import { afterEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import type { Reference } from '#oci';
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
});
