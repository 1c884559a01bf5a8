import { join } from 'node:path';

import pg from 'pg';

import { type Figure, measured, ratioAtLeast, ratioAtMost } from '../bench.js';
import { askedOf } from './asked.js';
import { LOAD_CORE, mostPerSecond, paced, SERVER_CORE } from './load.js';
import { type BenchPlace, SMALL } from './place.js';
import { LookupService } from './service.js';

/**
 * Two lookup processes share the load, as one alone does not answer so many. The second one's core is also that of the load and of the database, and gives less: at 14,700 and 5,700 a second the first one's was idle for a
 * sixth of the time, while the second fell behind with 5,100.
 */
const CORES = [SERVER_CORE!, LOAD_CORE!] as const;
const SHARE_RATIOS = [0.77, 0.23] as const;
const WARM_SECONDS = 4;
const [FEW, MANY] = [1000, 20_000];
/** A little more is sent, so that what was sent late does not decide. */
const SENT_RATIO = 1.02;
/** Counts are merged every five seconds: within this time, what the load before left behind is, too. */
const LEAD_SECONDS = 7;
/** Six merges of each process: one more or less, as their times fall, is a sixth. */
const COUNTED_SECONDS = 30;
/** Tables of what was pulled: of the room `demand`. */
const DEMAND_WRITES = `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int AS count FROM pg_stat_user_tables WHERE relname ~ '^(demand|observ|pull_totals|history)'`;

/** Rows of demand that are written each second at few and at many pulls a second of the same pairs of image and region. */
export async function observationFigures(place: BenchPlace): Promise<readonly Figure[]> {
  const { folder, tell } = place;
  const database = await place.database(SMALL);
  await using services = new AsyncDisposableStack();
  const ports: number[] = [];
  for (const core of CORES) ports.push(services.use(await LookupService.start(place.main, join(folder, `observation-${core}`), database, core)).port);
  // Nobody here can mount by NFS: a pull of blobs is observed as any other, and its short answer leaves more of two cores for observing.
  const { requests } = await askedOf(folder, SMALL, ['nfs']);
  for (const port of ports) await mostPerSecond(folder, requests, port, WARM_SECONDS);
  const observed: Observed = { program: place.pacer, ports, database, requests };
  tell('observations at few pulls a second');
  const few = await demandWrites(observed, FEW);
  tell('observations at many pulls a second');
  const many = await demandWrites(observed, MANY);
  tell(`${few.pullsPerSecond} and ${many.pullsPerSecond} pulls/s`);
  return [
    measured('demand rows written by two lookup processes, at few pulls/s', few.writesPerSecond, 'rows/s'),
    measured('demand rows written by two lookup processes, at many pulls/s', many.writesPerSecond, 'rows/s'),
    ratioAtLeast('few pulls/s', few.pullsPerSecond / FEW, { against: '1,000 pulls/s', bound: 1 }),
    ratioAtLeast('many pulls/s', many.pullsPerSecond / MANY, { against: '20,000 pulls/s', bound: 1 }),
    ratioAtMost('demand rows written by two lookup processes, at many pulls/s', many.writesPerSecond / few.writesPerSecond, { against: 'the same pairs at few pulls/s', bound: 1.5 }),
  ];
}

interface Observed {
  readonly program: string;
  readonly ports: readonly number[];
  readonly database: string;
  readonly requests: string;
}

/** Counts in the midst of the load: how many merges fall into it does not hang on when it began. */
async function demandWrites({ program, ports, database, requests }: Observed, perSecond: number): Promise<{ readonly pullsPerSecond: number; readonly writesPerSecond: number }> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    const count = async (): Promise<number> => (await client.query<{ count: number }>(DEMAND_WRITES)).rows[0]!.count;
    const loads = Promise.all(ports.map((port, n) => paced({ program, requests, port, perSecond: perSecond * SHARE_RATIOS[n]! * SENT_RATIO, seconds: LEAD_SECONDS + COUNTED_SECONDS, mayFallBehind: true })));
    const [outcomes, writes] = await Promise.all([loads, countedWrites(count)]);
    return { pullsPerSecond: outcomes.reduce((sum, outcome) => sum + outcome.perSecond, 0), writesPerSecond: writes / COUNTED_SECONDS };
  } finally {
    await client.end();
  }
}

async function countedWrites(count: () => Promise<number>): Promise<number> {
  await rest(LEAD_SECONDS);
  const before = await count();
  await rest(COUNTED_SECONDS);
  return (await count()) - before;
}

async function rest(seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
