import { afterEach, describe, expect, it } from 'vitest';

import type { Reference } from '#oci';

import { type LocalRegistry, pushBlob, pushImage } from '../local/index.js';
import { RegistryBench, sampleImage, targetIn } from '../testing/index.js';

const tag = (name: string): Reference => ({ kind: 'tag', tag: name });
const bench = new RegistryBench();
afterEach(() => bench.close());

describe('authority', () => {
  const users = [{ username: 'u', password: 'p:w', repositories: ['team/app'] }];
  const credentials = { kind: 'basic', username: 'u', password: 'p:w' } as const;
  let now = new Date('2026-01-01T00:00:00Z');
  const tokenRegistry = async (extra: { anonymousPull?: boolean; tokenLifeSeconds?: number } = {}): Promise<LocalRegistry> => {
    now = new Date('2026-01-01T00:00:00Z');
    return bench.registry({ access: { kind: 'token', users, now: () => now, ...extra } });
  };
  const clock = { now: () => now, sleep: async () => undefined };

  it('by password is learnt from the first challenge and shown from then on', async () => {
    const registry = await bench.registry({ access: { kind: 'basic', users } });
    await pushBlob({ ...targetIn(registry), authorization: `Basic ${btoa('u:p:w')}` }, Buffer.from('x'));
    const before = registry.seen.length;
    const client = bench.client(registry.url, { credentials });
    for (let times = 0; times < 3; times += 1) await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    expect(registry.seen.slice(before).map(({ authorization }) => authorization !== undefined)).toEqual([false, true, true, true]);
    await expect(client.resolve('team/secret', tag('v1'))).rejects.toMatchObject({ code: 'DENIED' });
    await expect(bench.client(registry.url).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED', transient: false });
  });

  it('by token asks once per scope, however many wait for it', async () => {
    const registry = await tokenRegistry();
    const client = bench.client(registry.url, { credentials, clock });
    await expect(client.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    registry.gate.issuedCount = 0;
    registry.gate.revokeTokens();
    await Promise.allSettled(Array.from({ length: 20 }, () => client.resolve('team/app', tag('v1'))));
    expect(registry.gate.issuedCount).toBe(1);
  });

  it('by token asks anew shortly before the token ends, and when it was revoked', async () => {
    const registry = await tokenRegistry({ tokenLifeSeconds: 60 });
    const client = bench.client(registry.url, { credentials, clock });
    const ask = (): Promise<unknown> => client.resolve('team/app', tag('v1')).catch((error: { code: string }) => error.code);
    for (const [waitMs, issued] of [[0, 1], [40_000, 1], [11_000, 2]] as const) {
      now = new Date(now.getTime() + waitMs);
      expect(await ask()).toBe('MANIFEST_UNKNOWN');
      expect(registry.gate.issuedCount).toBe(issued);
    }
    registry.gate.revokeTokens();
    expect(await ask()).toBe('MANIFEST_UNKNOWN');
    expect(registry.gate.issuedCount).toBe(3);
  });

  it('by token works without a name where anybody may pull', async () => {
    const registry = await tokenRegistry({ anonymousPull: true });
    await expect(bench.client(registry.url, { clock }).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  it('that does not reach is told, not tried for ever', async () => {
    const registry = await tokenRegistry();
    const client = bench.client(registry.url, { credentials, clock });
    await expect(client.resolve('team/secret', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    const stranger = bench.client(registry.url, { credentials: { ...credentials, password: 'wrong' }, clock });
    await expect(stranger.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('waits for a token service in trouble', async () => {
    const registry = await tokenRegistry();
    registry.faults.add({ part: 'token' }, { kind: 'status', status: 503 }, 2);
    await expect(bench.client(registry.url, { credentials, clock }).resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });

  it('of a caller is asked for with the caller\'s header alone', async () => {
    const registry = await tokenRegistry();
    const owner = bench.client(registry.url, { credentials, clock });
    await expect(owner.resolve('team/app', tag('v1'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    const bearer = registry.seen.at(-1)?.authorization;
    const unasked = await owner.probe('team/app', tag('v1'), undefined);
    expect(unasked).toMatchObject({ challenge: expect.stringContaining('repository:team/app:pull') });
    expect(registry.seen.at(-1)?.authorization).toBeUndefined();
    expect(await owner.probe('team/app', tag('v1'), bearer)).toBe('unknown');
    expect(await owner.probe('team/other', tag('v1'), bearer)).toMatchObject({ challenge: expect.stringContaining('insufficient_scope') });
    expect(await owner.probe('team/app', tag('v1'), 'Bearer a\r\nx: y')).toBe('denied');
  });

  it('of a caller is granted by a manifest, refused by a 403 or a login page, and unknown to a registry that is down', async () => {
    const registry = await bench.registry({ access: { kind: 'basic', users } });
    const authorization = `Basic ${btoa('u:p:w')}`;
    await pushImage({ ...targetIn(registry), authorization }, 'v1', sampleImage(['a']));
    const client = bench.client(registry.url);
    expect(await client.probe('team/app', tag('v1'), authorization)).toBe('allowed');
    expect(await client.probe('team/secret', tag('v1'), authorization)).toBe('denied');
    registry.faults.add({ part: 'manifests' }, { kind: 'status', status: 503 });
    await expect(client.probe('team/app', tag('v1'), authorization)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    registry.faults.add({ part: 'manifests' }, { kind: 'silence' });
    const hasty = bench.client(registry.url, { limits: { probeMaxMs: 100 } });
    await expect(hasty.probe('team/app', tag('v1'), authorization)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    const login = await bench.server((_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('sign in'));
    expect(await bench.client(login).probe('team/app', tag('v1'), authorization)).toBe('denied');
  });
});
