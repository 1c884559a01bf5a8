import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

import { buildProgram } from '../../e2e/support/built-program.js';
import { freePort, run } from '../../e2e/support/programs.js';
import { type Bench, BenchError, type Figure, measured, ratioAtLeast, ratioAtMost, valueAtMost } from '../bench.js';
import { startDockerRegistry } from './docker-registry.js';
import { filledDatabase, LAYERS_PER_IMAGE, storedImage, wholeImages } from './filled-database.js';
import { mostPerSecond, paced, type Questions, ServerProgram, writeQuestions } from './load.js';
import { LookupService, SERVICE_TOKEN } from './service.js';

/** The server on which databases are made and kept, named like `translocator_bench_1000000`. */
const SERVER_URL = 'TRANSLOCATOR_TEST_POSTGRES_URL';
/** Layers in the map. */
const [SMALL, LARGE] = [200_000, 1_000_000];
/** Pairs of an image and a region that are pulled: each in a region that has all of its layers. */
const HOT_PAIRS = 3000;
const LOAD_SECONDS = 10;
/** Changes of which each is waited for. */
const CHANGES = 50;
const OBSERVE_SECONDS = 15;
/** Tables of the room `demand`. */
const DEMAND_WRITES = `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int AS count FROM pg_stat_user_tables WHERE relname ~ '^(demand|observ)'`;

/** How fast lookups are answered, how much memory and time their map takes, and how soon it follows. */
export const lookupBench: Bench = {
  question: 'how many lookups a second are answered from a map of a million layers in 60 regions, against a bare node:http server and docker-registry?',
  async run(tell) {
    const serverUrl = process.env[SERVER_URL];
    if (serverUrl === undefined) throw new BenchError(`${SERVER_URL} must name a PostgreSQL server on which databases may be made`);
    for (const program of ['wrk', 'docker-registry', 'taskset']) await run('which', [program]).catch(() => Promise.reject(new BenchError(`${program} is not installed`)));
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-bench-lookup-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const urls = [await filledDatabase(serverUrl, SMALL, tell), await filledDatabase(serverUrl, LARGE, tell)] as const;
    tell('building the service');
    const main = undo.use(await buildProgram()).main;
    const at = { main, folder, tell };
    const small = await atSize(at, urls[0], SMALL);
    const large = await atSize(at, urls[1], LARGE);
    const registryPerSecond = await registryRate(at);
    return [
      ...small.figures,
      ...large.figures,
      ratioAtLeast('requests/s at 1 M layers', large.perSecond / small.perSecond, { against: 'the same at 200 k layers', bound: 0.8 }),
      measured('docker-registry, HEAD', registryPerSecond, 'requests/s'),
      ratioAtLeast('images resolved/s', large.perSecond / (registryPerSecond / LAYERS_PER_IMAGE), { against: 'docker-registry, HEAD for each layer', bound: 10 }),
    ];
  },
};

interface Place {
  readonly main: string;
  readonly folder: string;
  readonly tell: (line: string) => void;
}

/** The figures of a map of one size. */
async function atSize({ main, folder, tell }: Place, databaseUrl: string, layerCount: number): Promise<{ readonly perSecond: number; readonly figures: readonly Figure[] }> {
  const size = layerCount >= 1e6 ? `${layerCount / 1e6} M layers` : `${layerCount / 1e3} k layers`;
  tell(`${size}: starting from PostgreSQL`);
  await using service = await LookupService.start(main, join(folder, String(layerCount)), databaseUrl);
  const bodies = bodiesOf(layerCount);
  const answers = await answersOf(service, bodies);
  const requests = await writeQuestions(folder, 'lookups', questions(bodies));
  tell(`${size}: lookups`);
  const bare = await bareRate(folder, answers, requests);
  await mostPerSecond(folder, requests, service.port, 5);
  const perSecond = await mostPerSecond(folder, requests, service.port, LOAD_SECONDS);
  const bareAgain = await bareRate(folder, answers, requests);
  const half = await paced(requests, service.port, { perSecond: perSecond / 2, seconds: LOAD_SECONDS });
  tell(`${size}: ${Math.round(perSecond)} requests/s against ${Math.round(bare)} and ${Math.round(bareAgain)}; at half ${JSON.stringify(half)}`);
  const memory = await service.memory();
  const figures = [
    measured(`requests/s, ${size}`, perSecond, 'requests/s'),
    ratioAtLeast(`requests/s, ${size}`, (2 * perSecond) / (bare + bareAgain), { against: 'bare node:http with JSON and a Map', bound: 1 }),
    measured(`p50 at half of that, ${size}`, half.p50, 'ms'),
    valueAtMost(`p99 at half of that, ${size}`, half.p99, { unit: 'ms', bound: 5 }),
    measured(`memory after the load, ${size}`, memory.nowBytes / 1e9, 'GB'),
  ];
  if (layerCount !== LARGE) return { perSecond, figures };
  tell(`${size}: changes`);
  const fresh = await freshness(service, databaseUrl, layerCount);
  tell(`${size}: observations`);
  const [slow, fast] = [await demandWrites(service, databaseUrl, requests, 1000), await demandWrites(service, databaseUrl, requests, Math.min(20_000, perSecond * 0.7))];
  return {
    perSecond,
    figures: [
      ...figures,
      valueAtMost(`memory at most, ${size}`, memory.mostBytes / 1e9, { unit: 'GB', bound: 2.5 }),
      valueAtMost(`cold start from PostgreSQL, ${size}`, service.readyAfterSeconds, { unit: 's', bound: 30 }),
      measured('a change is answered after, median', fresh.p50, 'ms'),
      valueAtMost('a change is answered after, p99', fresh.p99, { unit: 'ms', bound: 1000 }),
      measured(`demand rows written at ${slow.pullsPerSecond} pulls/s`, slow.writesPerSecond, 'rows/s'),
      measured(`demand rows written at ${fast.pullsPerSecond} pulls/s`, fast.writesPerSecond, 'rows/s'),
      ratioAtMost('demand rows written, at many pulls/s', fast.writesPerSecond / slow.writesPerSecond, { against: 'the same pairs at 1000 pulls/s', bound: 1.5 }),
    ],
  };
}

/** Bodies of lookups, each for an image in a region that has it whole, from a node of its own. */
function bodiesOf(layerCount: number): string[] {
  return wholeImages(HOT_PAIRS, layerCount).map((number, index) => {
    const { repository, manifest, layers, regions } = storedImage(number, layerCount);
    return JSON.stringify({ repository, manifest, layers, region: regions[index % regions.length] });
  });
}

function questions(bodies: readonly string[]): Questions {
  return { method: 'POST', path: () => '/v1/lookup', headers: { Authorization: `Bearer ${SERVICE_TOKEN}`, 'Content-Type': 'application/json' }, bodies };
}

/** What the service answers to each, in a file; every layer must be mounted. */
async function answersOf(service: LookupService, bodies: readonly string[]): Promise<string> {
  const path = join(tmpdir(), `translocator-bench-answers-${process.pid}`);
  const answers: string[] = [];
  for (const body of bodies) {
    const answer = await service.ask(body);
    const { layers, lease } = JSON.parse(answer) as { layers: { kind: string }[]; lease?: object };
    if (layers.length !== LAYERS_PER_IMAGE || layers.some(({ kind }) => kind !== 'mount') || lease === undefined) throw new BenchError(`not everything was mounted and leased: ${answer.slice(0, 1000)}`);
    answers.push(answer);
  }
  await writeFile(path, answers.join('\n'));
  return path;
}

async function bareRate(folder: string, answers: string, requests: string): Promise<number> {
  await using server = new ServerProgram([process.execPath, join(import.meta.dirname, 'bare-program.js'), answers]);
  const port = Number(await server.said(([line]) => line, 30_000));
  await mostPerSecond(folder, requests, port, 3);
  return mostPerSecond(folder, requests, port, LOAD_SECONDS / 2);
}

async function registryRate({ folder, tell }: Place): Promise<number> {
  tell('docker-registry');
  const { layers } = storedImage(0, SMALL);
  const port = await freePort();
  await using _ = await startDockerRegistry(folder, port, 'team/app', layers);
  const requests = await writeQuestions(folder, 'heads', { method: 'HEAD', path: (digest) => `/v2/team/app/blobs/${digest}`, headers: {}, bodies: layers });
  await mostPerSecond(folder, requests, port, 3);
  return mostPerSecond(folder, requests, port, LOAD_SECONDS);
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
        while ((await mountsFirst()) !== (state === 'ready') && performance.now() - changedAt < 30_000) await new Promise((resolve) => setTimeout(resolve, 2));
        times.push(performance.now() - changedAt);
      }
    }
  } finally {
    await client.end();
  }
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)]!, p99: times[Math.floor(times.length * 0.99)]! };
}

/** Rows of demand that are written each second while so many pulls a second of the same pairs come. */
async function demandWrites(service: LookupService, databaseUrl: string, requests: string, perSecond: number): Promise<{ readonly pullsPerSecond: number; readonly writesPerSecond: number }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const count = async (): Promise<number> => (await client.query<{ count: number }>(DEMAND_WRITES)).rows[0]!.count;
    const before = await count();
    const outcome = await paced(requests, service.port, { perSecond, seconds: OBSERVE_SECONDS });
    // Statistics are told by backends when they are idle, and the last merge comes after the load.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    return { pullsPerSecond: Math.round(outcome.perSecond), writesPerSecond: ((await count()) - before) / OBSERVE_SECONDS };
  } finally {
    await client.end();
  }
}
