import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import pg from 'pg';

import type { MountAnswerBody } from '#contract';
import { MINUTE_MS } from '#quantities';

import { eventually } from '../e2e/support/eventually.js';
import { run as runProgram } from '../e2e/support/programs.js';
import { TOKENS } from '../e2e/support/service-client.js';
import type { WayState } from './breakable-proxy.js';
import { FAR, HOME, type LookupStart } from './outage-deployment.js';
import { layersOf, type OutageCase, type OutageRun } from './outage-run.js';
import type { AskedPull } from './pull-load.js';

/** A short bound of what a lookup may go on by, for outages that outlast it. */
const SOON_STALE = { staleMax: '3s' } as const;
const SKEW_MINUTES = 10;
const BROKEN: readonly WayState[] = ['cut', 'silent'];

/** Every outage; each begins and ends with all ways open and a lookup process that mounts. */
export const OUTAGES: readonly OutageCase[] = [
  ...BROKEN.flatMap((state): OutageCase[] => [
    { name: `database ${state}`, strike: (run) => databaseAway(run, state) },
    { name: `database ${state} for longer than may be gone on by`, strike: (run) => databaseAwayForLong(run, state) },
    { name: `database ${state} at a restart`, strike: (run) => databaseAwayAtRestart(run, state) },
    { name: `registry ${state}`, strike: (run) => registryAway(run, state) },
    { name: `keys of tokens ${state}`, strike: (run) => tokenKeysAway(run, state) },
    { name: `share of one region ${state}`, strike: (run) => shareAway(run, state) },
    { name: `regions parted, everything at home ${state}`, strike: (run) => regionsParted(run, state) },
  ]),
  { name: 'change feed held back', strike: feedHeldBack },
  { name: 'event loop flooded', strike: flooded },
  { name: 'killed and started under load', strike: restartedUnderLoad },
  ...[SKEW_MINUTES, -SKEW_MINUTES].map((skewMinutes): OutageCase => ({ name: `clock wrong by ${skewMinutes} minutes`, strike: (run) => clockWrong(run, skewMinutes) })),
];

async function databaseAway(run: OutageRun, state: WayState): Promise<void> {
  await started(run);
  await whileBroken(run, 'database', state, async () => run.expectLayers(await run.measure(), 'mount'));
  const later = await run.deployment.imageInBothRegions(`after-${state}`);
  await mounting(run, 'what came after the outage is mounted', later);
}

async function databaseAwayForLong(run: OutageRun, state: WayState): Promise<void> {
  await started(run, SOON_STALE);
  await whileBroken(run, 'database', state, async () => {
    await eventually('the map is too old', async () => Object.keys(layersOf(await run.look())).join() === 'MAP_STALE');
    run.expectLayers(await run.measure(), 'MAP_STALE');
  });
  await mounting(run, 'the map is young again');
}

async function databaseAwayAtRestart(run: OutageRun, state: WayState): Promise<void> {
  const { deployment } = run;
  await started(run);
  await deployment.lookup.stop();
  await whileBroken(run, 'database', state, async () => {
    const beganAt = new Date();
    await deployment.startLookup();
    const replies = await run.measure();
    run.expectLayers(replies, 'mount');
    run.expect('the answers do not tell that they are from before the restart', replies.every(({ body }) => asOf(body) < beganAt.getTime()));
  });
  const endedAt = new Date();
  await eventually('the answers are of now', async () => (await run.look()).every(({ body }) => asOf(body) > endedAt.getTime()));
}

/** In milliseconds since the epoch; not a number for an answer that does not tell. */
function asOf(body: MountAnswerBody | undefined): number {
  return Date.parse(body?.asOf ?? '');
}

/** Callers of whom the registry has spoken within the last minute go on, others get blobs. A registry that asks for its clients does not care. */
async function registryAway(run: OutageRun, state: WayState): Promise<void> {
  await started(run);
  // What is usual is learned from some answers.
  await run.rehearse(strangers(run.pulls));
  await whileBroken(run, 'registry', state, async () => {
    run.expectLayers(await run.measure(), 'mount');
    run.expectLayers(await run.measure(strangers(run.pulls)), 'AUTHORIZATION_UNAVAILABLE');
  });
  await mounting(run, 'strangers are asked about again', strangers(run.pulls));
}

/** Tokens by keys that are known are verified as ever; of a key that came meanwhile the registry is asked, and nobody waits for the keys. */
async function tokenKeysAway(run: OutageRun, state: WayState): Promise<void> {
  const { signer } = run.deployment;
  await started(run, { verifiesTokens: true });
  const known = await signed(run);
  await mounting(run, 'signed tokens open', known);
  signer.changeKey();
  const unknown = await signed(run);
  await whileBroken(run, 'tokenKeys', state, async () => {
    run.expectLayers(await run.measure(known), 'mount');
    // Keys are not looked for at every turn: until then a key that is not known is a stranger's.
    await eventually('the keys are looked for', async () => (await run.look(unknown)).every(({ status }) => status === 200));
    run.expectLayers(await run.measure(unknown), 'mount');
  });
  await mounting(run, 'tokens by the new key open', await signed(run));
}

async function shareAway(run: OutageRun, state: WayState): Promise<void> {
  await started(run);
  await whileBroken(run, 'farShare', state, async () => {
    const replies = await run.measure();
    run.expectLayers(replies, 'mount', 'SHARE_UNAVAILABLE', 'REPLICA_NONE');
    const home = replies.filter(({ body }) => body?.region === HOME);
    run.expectLayers(home, 'mount');
  });
  await mounting(run, 'the region mounts again', run.pulls.filter(({ region }) => region === FAR));
}

/** A lookup in the far region that reaches nothing at home any more: its own region goes on to mount. */
async function regionsParted(run: OutageRun, state: WayState): Promise<void> {
  await started(run);
  const { database, registry, homeShare } = run.deployment.ways;
  const near = run.pulls.filter(({ region }) => region === FAR);
  const ways = [database, registry, homeShare];
  for (const way of ways) way.set(state);
  try {
    run.expectLayers(await run.measure(near), 'mount');
    await eventually('the share at home leaves the answers', async () => Object.keys(layersOf(await run.look(run.pulls.filter(({ region }) => region === HOME)))).join() === 'SHARE_UNAVAILABLE');
    run.expectLayers(await run.measure(near), 'mount');
  } finally {
    for (const way of ways) way.set('open');
  }
  await mounting(run, 'both regions mount again');
}

/** A transaction that stays open holds back everything that was written after it began. */
async function feedHeldBack(run: OutageRun): Promise<void> {
  await started(run, SOON_STALE);
  const holder = new pg.Client({ connectionString: run.deployment.databaseUrl });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT pg_current_xact_id()');
    // The feed has something to hold back.
    await run.deployment.control.enable('team/another');
    await eventually('the map is too old', async () => Object.keys(layersOf(await run.look())).join() === 'MAP_STALE');
    run.expectLayers(await run.measure(), 'MAP_STALE');
    await holder.query('COMMIT');
  } finally {
    await holder.end();
  }
  await mounting(run, 'the feed goes on');
}

/** Lookups that have to be worked out, from 64 connections at once, while others are measured. */
async function flooded(run: OutageRun): Promise<void> {
  await started(run, { busyAfter: '20ms' });
  const [{ repository, manifest, layers } = run.pulls[0]!] = run.pulls;
  const body = JSON.stringify({ repository, manifest, layers, region: FAR, have: layers.slice(0, 1) });
  const script = `wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"; wrk.headers["Authorization"] = "Bearer ${TOKENS.service}"; wrk.body = [[${body}]]`;
  const seconds = Math.ceil(run.measuredMs / 1000) + 1;
  const scriptPath = join(run.deployment.folder, 'flood.lua');
  await writeFile(scriptPath, script);
  const flood = runProgram('wrk', ['-t1', '-c64', `-d${seconds}s`, '-s', scriptPath, `${run.deployment.lookup.client.url}/v1/lookup`]);
  run.expectLayers(await run.measure(), 'mount', 'SERVICE_BUSY');
  const said = await flood;
  run.expect(`the flood had answers other than 200: ${said}`, !/Non-2xx/.test(said));
}

async function restartedUnderLoad(run: OutageRun): Promise<void> {
  const { deployment } = run;
  await started(run);
  const before = run.measure();
  await deployment.lookup.kill();
  const lost = (await before).filter(({ status }) => status !== 200);
  run.expect('an answer was wrong instead of absent', lost.every(({ status }) => status === 0));
  await deployment.startLookup();
  const replies = await run.measure();
  run.expectLayers(replies, 'mount');
}

async function clockWrong(run: OutageRun, skewMinutes: number): Promise<void> {
  await started(run, { skewMinutes, verifiesTokens: true });
  const replies = await run.measure();
  run.expectLayers(replies, 'mount');
  run.expect('the clock was not wrong: is libfaketime there?', replies.every(({ body }) => Math.abs(asOf(body) - Date.now() - skewMinutes * MINUTE_MS) < MINUTE_MS));
  run.expect('an answer came without a lease', replies.every(({ body }) => body?.lease !== undefined));
  // Tokens that were given this moment: by this clock they have ended, or do not hold yet.
  run.expectLayers(await run.measure(await signed(run)), 'mount');
  const [lease] = replies.map(({ body }) => body?.lease);
  if (lease === undefined) return;
  const renewed = await run.deployment.lookup.client.call(`/v1/leases/${lease.id}`, { method: 'PUT' });
  run.expect(`the lease could not be renewed: ${renewed.status} ${renewed.text}`, renewed.status === 200);
}

/** A new lookup process that mounts. */
async function started(run: OutageRun, how: LookupStart = {}): Promise<void> {
  await run.deployment.startLookup(how);
  await mounting(run, 'the new process mounts');
  await run.rehearse();
}

async function mounting(run: OutageRun, what: string, pulls = run.pulls): Promise<void> {
  await eventually(what, async () => {
    const replies = await run.look(pulls);
    return replies.every(({ status }) => status === 200) && Object.keys(layersOf(replies)).join() === 'mount';
  });
}

async function whileBroken(run: OutageRun, way: keyof OutageRun['deployment']['ways'], state: WayState, look: () => Promise<void>): Promise<void> {
  run.deployment.ways[way].set(state);
  try {
    await look();
  } finally {
    run.deployment.ways[way].set('open');
  }
}

/** The same pulls by nodes that show a token of the registry's, given now. */
async function signed({ pulls, deployment }: OutageRun): Promise<AskedPull[]> {
  const [{ repository }] = pulls as readonly [AskedPull];
  const authorization = `Bearer ${await deployment.signer.token(repository)}`;
  return pulls.filter(({ kind }) => kind === 'mount').map((pull) => ({ ...pull, authorization: () => authorization }));
}

let strangerCount = 0;

/** The same pulls by nodes, each by a caller of whom nobody has heard. */
function strangers(pulls: readonly AskedPull[]): AskedPull[] {
  return pulls.filter(({ kind }) => kind === 'mount').map((pull) => ({ ...pull, authorization: () => `Basic ${Buffer.from(`stranger-${(strangerCount += 1)}:x`).toString('base64')}` }));
}
