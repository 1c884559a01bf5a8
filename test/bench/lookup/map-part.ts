import { join } from 'node:path';

import pg from 'pg';

import { type Figure, measured, valueAtMost } from '../bench.js';
import { askedOf } from './asked.js';
import { storedImage } from './filled-database.js';
import { mostPerSecond } from './load.js';
import { type BenchPlace, LARGE, sizeName } from './place.js';
import { LookupService } from './service.js';

/** Changes of which each is waited for, there and back. */
const CHANGES = 50;
const LOAD_SECONDS = 8;

/** How much memory the largest map takes, and how soon it follows. */
export async function mapFigures(place: BenchPlace): Promise<readonly Figure[]> {
  const { folder, tell } = place;
  const size = sizeName(LARGE);
  const database = await place.database(LARGE);
  tell(`${size}: starting from PostgreSQL`);
  await using service = await LookupService.start(place.main, join(folder, 'map'), database);
  const asked = await askedOf(folder, LARGE);
  tell(`${size}: load`);
  await mostPerSecond(folder, asked.requests, service.port, LOAD_SECONDS);
  const memory = await service.memory();
  tell(`${size}: changes`);
  const fresh = await freshness(service, database, LARGE);
  return [
    measured(`memory after the load, ${size}`, memory.nowBytes / 1e9, 'GB'),
    measured('a change is answered after, median', fresh.p50, 'ms'),
    valueAtMost('a change is answered after, p99', fresh.p99, { unit: 'ms', bound: 1000 }),
  ];
}

async function rest(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** How long after the commit of a change of one replica a lookup answers by it, in milliseconds. */
async function freshness(service: LookupService, databaseUrl: string, layerCount: number): Promise<{ readonly p50: number; readonly p99: number }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const times: number[] = [];
  try {
    for (let n = 0; n < CHANGES; n += 1) {
      const { repository, manifest, layers, regions } = storedImage(7 + n * 100, layerCount);
      const body = JSON.stringify({ repository, manifest, layers, region: regions[0] });
      const mountsFirst = async (): Promise<boolean> => (JSON.parse(await service.ask(body)) as { layers: { kind: string }[] }).layers[0]?.kind === 'mount';
      for (const [state, since] of [['draining', 'now()'], ['ready', 'NULL']] as const) {
        await client.query(`UPDATE replicas SET state = $3, draining_since = ${since} WHERE layer = $1 AND share = $2`, [layers[0], regions[0], state]);
        const changedAt = performance.now();
        while ((await mountsFirst()) !== (state === 'ready') && performance.now() - changedAt < 30_000) await rest(2);
        times.push(performance.now() - changedAt);
      }
    }
  } finally {
    await client.end();
  }
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)]!, p99: times[Math.floor(times.length * 0.99)]! };
}
