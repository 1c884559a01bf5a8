import { describe, expect, it } from 'vitest';

import type { Reference } from '#oci';
import { type ProbeAnswer, RegistryError } from '#registry';

import { SILENCES_MAX, UnwaitedProbe } from './unwaited-probe.js';

const V1: Reference = { kind: 'tag', tag: 'v1' };

/** A registry whose answers a test gives by hand. */
class HandRegistry {
  readonly asked: { answer(word: ProbeAnswer): void; fail(code: 'REGISTRY_UNAVAILABLE' | 'TOO_MANY_REQUESTS'): void }[] = [];

  probe(): Promise<ProbeAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ProbeAnswer>();
    this.asked.push({ answer: resolve, fail: (code) => reject(new RegistryError(code, 'not now', { transient: true })) });
    return promise;
  }
}

function start(): { registry: HandRegistry; ask: () => Promise<unknown> } {
  const registry = new HandRegistry();
  const probe = new UnwaitedProbe(registry);
  return { registry, ask: () => probe.probe('team/app', V1, 'Bearer x').catch((error: unknown) => (error instanceof RegistryError ? error.code : 'another error')) };
}

async function silence({ registry, ask }: ReturnType<typeof start>): Promise<void> {
  for (let n = 0; n < SILENCES_MAX; n += 1) {
    const answer = ask();
    registry.asked.at(-1)!.fail('REGISTRY_UNAVAILABLE');
    expect(await answer).toBe('REGISTRY_UNAVAILABLE');
  }
}

describe('a registry that is silent', () => {
  it('is not waited for after some questions in a row, and asked one of them at a time', async () => {
    const world = start();
    await silence(world);
    expect(await Promise.all([world.ask(), world.ask(), world.ask()])).toEqual(Array(3).fill('REGISTRY_UNAVAILABLE'));
    expect(world.registry.asked).toHaveLength(SILENCES_MAX + 1);
    world.registry.asked.at(-1)!.fail('REGISTRY_UNAVAILABLE');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await world.ask()).toBe('REGISTRY_UNAVAILABLE');
    expect(world.registry.asked).toHaveLength(SILENCES_MAX + 2);
  });

  it('is waited for again as soon as it has answered once, whatever it says', async () => {
    const world = start();
    await silence(world);
    await world.ask();
    world.registry.asked.at(-1)!.answer('denied');
    await new Promise((resolve) => setImmediate(resolve));
    const answer = world.ask();
    world.registry.asked.at(-1)!.answer('allowed');
    expect(await answer).toBe('allowed');
  });

  it('is not what one open question makes of it, nor one that has too many of them', async () => {
    const { registry, ask } = start();
    for (const fate of ['fail', 'answer', 'fail', 'answer', 'fail'] as const) {
      const answer = ask();
      if (fate === 'fail') registry.asked.at(-1)!.fail('REGISTRY_UNAVAILABLE');
      else registry.asked.at(-1)!.answer('allowed');
      await answer;
    }
    for (let n = 0; n < 2 * SILENCES_MAX; n += 1) {
      const answer = ask();
      registry.asked.at(-1)!.fail('TOO_MANY_REQUESTS');
      expect(await answer).toBe('TOO_MANY_REQUESTS');
    }
    expect(registry.asked).toHaveLength(5 + 2 * SILENCES_MAX);
  });
});
