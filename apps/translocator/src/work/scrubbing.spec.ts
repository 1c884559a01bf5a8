import { expect, it } from 'vitest';

import { loadConfig } from '#config';
import type { Digest } from '#oci';
import { MiB } from '#quantities';
import { PIECE_BYTES } from '#shares';
import { pathOf, ReplicationWorld } from '#replication/testing';
import { createLogger, Metrics } from '#telemetry';

import { scrubbing } from './scrubbing.js';
import { WorkSignals } from './work-signals.js';
import { WorkSurroundings } from './work-surroundings.js';

function surroundings(world: ReplicationWorld, replication: string): WorkSurroundings {
  const { config } = loadConfig({ environment: { TRANSLOCATOR_CONFIG: 'c.yaml' }, readFile: () => `replication: ${replication}` });
  return new WorkSurroundings({ owner: 'test', config, clock: world.clock, logger: createLogger('fatal'), metrics: new Metrics(), signals: new WorkSignals() });
}

async function world(): Promise<{ world: ReplicationWorld; layer: Digest }> {
  const made = new ReplicationWorld();
  await made.expandOnto(made.home, 'layer', 'abcd');
  return { world: made, layer: await made.expandOnto(made.east, 'layer', 'abcd') };
}

it('reads what the day allows, spread over it, and comes to all replicas wherever it began', async () => {
  const { world: made } = await world();
  // Three shares with 96 MiB a day each are 12 MiB an hour: three pieces.
  const around = surroundings(made, '{ scrubBytesPerDay: 96MiB, scrubEvery: 20m }');
  const task = scrubbing(around, { store: made.store, records: made.records, shares: made.shares, layers: { expandAgain: () => Promise.resolve(true) }, ledger: made.ledger });
  const signal = new AbortController().signal;
  const read = async (): Promise<number> => (await around.metrics.scrubbedBytes.get()).values[0]?.value ?? 0;
  for (let n = 0; n < 3; n += 1) await task.run(signal);
  expect(await read()).toBeLessThanOrEqual(12 * MiB);
  for (let n = 0; n < 9; n += 1) await task.run(signal);
  const seen = new Set([made.home, made.east].flatMap((share) => share.calls.flatMap((call) => (call.operation === 'readRange' ? `${share.name} ${call.range!.offset / PIECE_BYTES}` : []))));
  expect(seen.size).toBe(8);
});

it('counts what it finds', async () => {
  const { world: made, layer } = await world();
  await made.east.writeRange(pathOf(layer), 5, Buffer.of(0));
  const around = surroundings(made, '{ scrubEvery: 1d }');
  const task = scrubbing(around, { store: made.store, records: made.records, shares: made.shares, layers: { expandAgain: () => Promise.resolve(true) }, ledger: made.ledger });
  for (let n = 0; n < 2; n += 1) await task.run(new AbortController().signal);
  expect((await around.metrics.scrubFindings.get()).values).toMatchObject([{ labels: { region: 'east', found: 'damaged' }, value: 1 }]);
});
