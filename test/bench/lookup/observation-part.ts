import { join } from 'node:path';

import pg from 'pg';

import { type Figure, measured, ratioAtMost } from '../bench.js';
import { askedOf } from './asked.js';
import { mostPerSecond, paced } from './load.js';
import { type BenchPlace, SMALL } from './place.js';
import { LookupService } from './service.js';

const OBSERVE_SECONDS = 15;
const WARM_SECONDS = 4;
const [FEW, MANY] = [1000, 20_000];
/** Statistics are told by backends when they are idle, and the last merge comes after the load. */
const SETTLE_MS = 12_000;
/** Tables of the room `demand`. */
const DEMAND_WRITES = `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int AS count FROM pg_stat_user_tables WHERE relname ~ '^(demand|observ)'`;

/** Rows of demand that are written each second at few and at many pulls a second of the same pairs of image and region. */
export async function observationFigures(place: BenchPlace): Promise<readonly Figure[]> {
  const { folder, tell } = place;
  const database = await place.database(SMALL);
  await using service = await LookupService.start(place.main, join(folder, 'observation'), database);
  const { requests } = await askedOf(folder, SMALL);
  await mostPerSecond(folder, requests, service.port, WARM_SECONDS);
  const most = await mostPerSecond(folder, requests, service.port, WARM_SECONDS);
  tell('observations');
  const few = await demandWrites({ service, database, requests, perSecond: FEW, program: place.pacer });
  // What one core of this machine gives, where that is less.
  const many = await demandWrites({ service, database, requests, perSecond: Math.min(MANY, most * 0.8), program: place.pacer });
  return [
    measured(`demand rows written at ${few.pullsPerSecond} pulls/s`, few.writesPerSecond, 'rows/s'),
    measured(`demand rows written at ${many.pullsPerSecond} pulls/s`, many.writesPerSecond, 'rows/s'),
    ratioAtMost('demand rows written, at many pulls/s', many.writesPerSecond / few.writesPerSecond, { against: 'the same pairs at 1000 pulls/s', bound: 1.5 }),
  ];
}

interface Observed {
  readonly service: LookupService;
  readonly database: string;
  readonly requests: string;
  readonly perSecond: number;
  readonly program: string;
}

async function demandWrites({ service, database, requests, perSecond, program }: Observed): Promise<{ readonly pullsPerSecond: number; readonly writesPerSecond: number }> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    const count = async (): Promise<number> => (await client.query<{ count: number }>(DEMAND_WRITES)).rows[0]!.count;
    const before = await count();
    const outcome = await paced({ program, requests, port: service.port, perSecond, seconds: OBSERVE_SECONDS });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return { pullsPerSecond: Math.round(outcome.perSecond), writesPerSecond: ((await count()) - before) / OBSERVE_SECONDS };
  } finally {
    await client.end();
  }
}
