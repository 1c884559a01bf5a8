import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DemandEntry, DryRunBody, PlanBody, PlanComparisonBody, PlanOutcomeBody, PlanSummaryBody, Problem } from '#contract';
import { PLACEMENT_PARAMETERS_DEFAULT } from '#placement';

import { eventually } from './support/eventually.js';
import { type GuardedWorld, startGuardedWorld } from './support/guarded-world.js';
import { run } from './support/programs.js';
import { sendRaw } from './support/raw-http.js';
import { smallImage } from './support/real-layers.js';
import { notify } from './support/registry-events.js';

const [HOME, EAST, ASIA] = ['westeurope', 'eastus', 'southeastasia'];
const NOBODY = '00000000-0000-4000-8000-000000000000';
let world: GuardedWorld;

beforeAll(async () => {
  // By the clock there are no plans: each is asked for. And what is small goes by the same rules as all.
  world = await startGuardedWorld({ placement: { every: '1d', smallLayersRatio: 0 }, history: { pulls: true } });
  await world.push('team/app', 'v1', smallImage('base', 'app'));
  await world.client.enable('team/app');
  await eventually('the image is whole at home', () => world.client.readyIn(HOME, 'team/app', 'v1'));
  // Whatever is expanded later has a plan made of its own.
  await eventually('its merged view is there, too', async () => (await world.client.replicas()).filter(({ share, state }) => share === HOME && state === 'ready').length === 3);
  for (let node = 0; node < 4; node += 1) await pull(`node-${node}`);
  await eventually('the pulls are counted', async () => (await world.client.admin<{ items: { weight: number }[] }>('demand')).body.items.some(({ weight }) => weight > 3.9));
}, 300_000);
afterAll(() => world?.[Symbol.asyncDispose]());

async function pull(node: string, region: string = EAST!): Promise<void> {
  const authorization = await world.authorizationOf('alice', 'team/app');
  await world.client.pull('team/app', 'v1', { authorization, 'x-teleport-region': region, 'x-teleport-node': node });
}

const latest = async (region = EAST): Promise<PlanBody> => (await world.client.admin<PlanBody>(`plans/${region}`)).body;
const history = async (): Promise<PlanSummaryBody[]> => (await world.client.admin<{ items: PlanSummaryBody[] }>(`plans/${EAST}/history`)).body.items;

/** Has everything planned, and gives eastus' plan once it was ordered to the end. */
async function plan(): Promise<PlanBody> {
  const before = new Set((await history()).map(({ id }) => id));
  await world.client.admin('plans', { method: 'POST' });
  return eventually('a plan is made', async () => {
    const made = (await history()).find(({ id, trigger, orderedAt }) => !before.has(id) && trigger === 'operator' && orderedAt !== undefined);
    return made !== undefined && (await world.client.admin<PlanBody>(`plans/${made.id}`)).body;
  });
}

describe('plans', () => {
  it('tell the numbers behind every decision, and what they went by', async () => {
    const made = await plan();
    expect(made).toMatchObject({ region: EAST, terms: { breakEvenPulls: 1, keepPulls: 0, horizonMs: 7 * 86_400_000, parameters: { ...PLACEMENT_PARAMETERS_DEFAULT, smallLayersRatio: 0, reactiveRatio: 0 } }, counts: { refused: 0 } });
    const [decision] = made.decisions;
    expect(decision).toMatchObject({ repository: 'team/app', rank: 1 });
    expect(decision!.expectedPulls).toBeGreaterThan(1);
    expect(decision!.copyUsd ?? 0).toBeCloseTo((decision!.marginalBytes / 1e9) * 0.05, 10);
  });

  it('are kept, listed page by page, and found by id', async () => {
    await plan();
    const kept = await history();
    expect(kept.length).toBeGreaterThan(1);
    const seen: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const { body }: { body: { items: PlanSummaryBody[]; nextCursor?: string } } = await world.client.admin(`plans/${EAST}/history?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual(kept.map(({ id }) => id));
    const { body } = await world.client.admin<PlanBody>(`plans/${kept.at(-1)?.id}`);
    expect(body).toMatchObject({ ...kept.at(-1), decisions: expect.any(Array) });
  });

  it('are compared by id', async () => {
    const kept = await history();
    const [newest, oldest] = [kept[0]!.id, kept.at(-1)!.id];
    const { body } = await world.client.admin<PlanComparisonBody>(`plans/${oldest}/compare/${newest}`);
    expect(body).toMatchObject({ region: EAST, counts: { goes: 0 }, usedBytes: { after: kept[0]!.usedBytes }, parameters: [] });
    const other = await latest(ASIA);
    expect((await world.client.admin<Problem>(`plans/${oldest}/compare/${other.id}`)).body.errors).toEqual([{ field: '/after', value: `"${other.id}"`, rule: `must be a plan of the region ${EAST}, and is one of ${ASIA}` }]);
  });
});

describe('a dry run', () => {
  const dryRun = (json: unknown) => world.client.admin<DryRunBody & Problem>('plans/dry-run', { method: 'POST', json });

  it('tells what less room would take away, and orders and keeps nothing', async () => {
    const before = await history();
    const { status, body } = await dryRun({ regions: [EAST], capacityBytes: { [EAST!]: 1 } });
    expect(status).toBe(200);
    expect(body.items).toMatchObject([{ region: EAST, capacityBytes: { after: 1 }, counts: { comes: 0, goes: 1 }, goes: [{ repository: 'team/app', after: { verdict: 'refused', reason: 'OVER_CAPACITY' } }], copyUsd: { after: 0 } }]);
    expect(await history()).toEqual(before);
  });

  it('tells what other parameters would bring', async () => {
    const { body } = await dryRun({ parameters: { minimumExpectedPulls: 1000, leastExpectedPulls: 1000, keepRatio: 1 } });
    expect(body.items.map(({ region, counts }) => [region, counts.goes])).toEqual([[EAST, 1], [ASIA, 0], [HOME, 0]]);
    expect(body.items[0]!.parameters).toEqual([{ name: 'minimumExpectedPulls', before: 1, after: 1000 }, { name: 'keepRatio', before: 0, after: 1 }, { name: 'leastExpectedPulls', before: 0.02, after: 1000 }]);
  });

  it.each([
    [{ budgets: { usdPerDay: -1 } }, '/budgets/usdPerDay', '-1', 'at least 0'],
    [{ budgets: { bytesPerLinkDay: 0.5 } }, '/budgets/bytesPerLinkDay', '0.5', 'a whole number'],
    [{ capacityBytes: { mars: 1 } }, '/capacityBytes/mars', '"mars"', 'must be a region of this deployment'],
    [{ capacityBytes: { eastus: -1 } }, '/capacityBytes/eastus', '-1', 'at least 0'],
    [{ capacityBytes: { eastus: 1.5 } }, '/capacityBytes/eastus', '1.5', 'a whole number'],
    [{ regions: ['eastus', 'mars'] }, '/regions/1', '"mars"', 'must be a region of this deployment'],
    [{ regions: [] }, '/regions', 'a list of 0', 'at least 1 entry'],
    [{ parameters: { keepRatio: 2 } }, '/parameters/keepRatio', '2', 'at most 1'],
    [{ parameters: { greed: 1 } }, '/parameters/greed', '1', 'is not a known field'],
    [{ orders: true }, '/orders', 'true', 'is not a known field'],
  ])('of %j is told the field, the value and the rule', async (json, field, value, rule) => {
    const { status, body } = await dryRun(json);
    expect(status).toBe(400);
    expect(body.errors).toContainEqual({ field, value, rule: expect.stringContaining(rule) });
  });

  it('tells what would wait for another day by other budgets', async () => {
    const small = { regions: [ASIA], parameters: { smallLayersRatio: 1 } };
    const [free, bounded] = [await dryRun(small), await dryRun({ ...small, budgets: { usdPerDay: 0 } })].map(({ body }) => body.items[0]!);
    expect(free).toMatchObject({ region: ASIA, waitingImages: { before: 0, after: 0 }, copyBytes: { before: 0 } });
    expect(free!.copyBytes.after).toBeGreaterThan(0);
    expect(bounded).toMatchObject({ region: ASIA, waitingImages: { before: 0, after: 1 }, copyBytes: { before: 0, after: 0 } });
  });

  it('is made one at a time', async () => {
    // On a busy machine one may be over before the other comes.
    const replies = await eventually('two meet', async () => {
      const both = await Promise.all([dryRun({}), dryRun({})]);
      return both.some(({ status }) => status !== 200) && both;
    });
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 503]);
    expect(replies.find(({ status }) => status === 503)?.headers['retry-after']).toBe('5');
  });
});

describe('forecasts', () => {
  it('are held against what came, of one plan a day', async () => {
    const list = await world.client.admin<{ items: { planId: string }[] }>(`plans/${EAST}/outcomes`);
    // One, unless this runs over midnight.
    const days = new Set((await history()).filter(({ trigger }) => trigger === 'operator').map(({ plannedAt }) => plannedAt.slice(0, 'YYYY-MM-DD'.length)));
    expect(list.body.items).toHaveLength(days.size);
    const planId = list.body.items[0]!.planId;
    const { body } = await world.client.admin<PlanOutcomeBody>(`plans/${planId}/outcome`);
    expect(body).toMatchObject({ planId, region: EAST, pulls: 0, images: [{ repository: 'team/app', pulls: 0 }] });
    expect(body.images[0]!.expectedPulls).toBeGreaterThan(1);
    for (const node of ['late-1', 'late-2', 'late-3']) await pull(node);
    await eventually('what came is counted', async () => (await world.client.admin<PlanOutcomeBody>(`plans/${EAST}/outcome`)).body.pulls === 3);
    expect((await history()).length).toBeGreaterThan(1);
  });
});

describe('demand', () => {
  it('is told by every half-life, and, where it is asked for, with what is expected of it', async () => {
    const counted = await eventually('all pulls are counted', async () => {
      const [entry] = (await world.client.admin<{ items: DemandEntry[] }>(`demand?region=${EAST}`)).body.items;
      return entry !== undefined && entry.weight > 6.9 && entry;
    });
    expect(counted).toMatchObject({ repository: 'team/app', weight: counted.weights.threeDays });
    expect(counted.weights.sixHours).toBeLessThan(counted.weights.threeDays);
    expect(counted.weights.threeDays).toBeLessThan(counted.weights.fourteenDays);
    expect(counted).not.toHaveProperty('forecast');
    const { body: { items: [foretold] } } = await world.client.admin<{ items: DemandEntry[] }>(`demand?region=${EAST}&forecast=true`);
    const { expectedPulls, ownPulls, inheritedPulls, elsewherePulls, lowPulls, highPulls, regionPullsPerHour, horizonMs } = foretold!.forecast!;
    expect(ownPulls + inheritedPulls + elsewherePulls).toBeCloseTo(expectedPulls, 6);
    expect([lowPulls < expectedPulls, expectedPulls < highPulls, horizonMs]).toEqual([true, true, 7 * 86_400_000]);
    // What was counted within the first minutes is taken for what a day brings.
    expect(regionPullsPerHour).toBeCloseTo(7 / 24, 1);
    expect((await world.client.admin<Problem>('demand?forecast=perhaps')).body.errors?.[0]).toMatchObject({ field: '/forecast', value: '"perhaps"' });
  });
});

describe('the history of a service', () => {
  const exported = (kind: string) => world.client.admin(`history/export?kind=${kind}`);
  const events = async () => (await exported('events')).text.trim().split('\n').map((line) => JSON.parse(line) as Record<string, string>);

  it('has its pulls, pushes and pins, for the images that are whole', async () => {
    await world.client.admin('pins', { method: 'POST', json: { repository: 'team/app', reference: 'v1', regions: [ASIA] } });
    const { status, headers, text } = await exported('events');
    expect([status, headers['content-type']]).toEqual([200, 'application/x-ndjson']);
    const events = text.trim().split('\n').map((line) => JSON.parse(line) as Record<string, string>);
    expect(events.map(({ kind, region }) => `${kind} ${region}`).toSorted()).toEqual(['pin southeastasia', ...Array.from({ length: 7 }, () => 'pull eastus'), 'push westeurope']);
    expect(new Set(events.flatMap(({ client }) => client ?? [])).size).toBe(7);
    expect(text).not.toContain('node-');
  });

  it('follows a tag that moves under its pin, and has what was deleted', async () => {
    const moved = await world.push('team/app', 'v1', smallImage('base', 'app again'));
    const short = await world.push('team/app', 'short-lived', smallImage('base', 'short-lived'));
    await notify(world.client, { action: 'push', repository: 'team/app', tag: 'v1', digest: moved.digest }, { action: 'push', repository: 'team/app', tag: 'short-lived', digest: short.digest });
    for (const tag of ['v1', 'short-lived']) await eventually(`${tag} is whole at home`, () => world.client.readyIn(HOME, 'team/app', tag));
    await eventually('the tag has moved', async () => (await events()).some(({ kind, image }) => kind === 'pin' && image === moved.digest));
    await pull('node-of-asia', ASIA!);
    await eventually('its pull is told', async () => (await events()).some(({ kind, region, image }) => kind === 'pull' && region === ASIA && image === moved.digest));
    const { url, authorization } = await world.target('team/app');
    expect((await sendRaw(url, `/v2/team/app/manifests/${short.digest}`, { method: 'DELETE', headers: { authorization: authorization! } })).status).toBe(202);
    await notify(world.client, { action: 'delete', repository: 'team/app', digest: short.digest });
    await eventually('the deletion is told', async () => (await events()).some(({ kind, image }) => kind === 'delete' && image === short.digest));
    const pins = (await events()).filter(({ kind }) => kind === 'pin');
    expect(pins.map(({ region, image, until }) => [region, image === moved.digest, until === undefined])).toEqual([[ASIA, false, false], [ASIA, true, true]]);
  });

  it('is replayed as it is, through other policies, with the counts that it has', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-history-'));
    try {
      for (const [kind, name] of [['catalog', 'catalog'], ['events', 'events'], ['regions', 'regions']] as const) await writeFile(join(folder, name), (await exported(kind)).text);
      const args = ['--catalog', 'catalog', '--events', 'events', '--regions', 'regions'].map((text) => (text.startsWith('--') ? text : join(folder, text)));
      const { scores } = JSON.parse(await run(process.execPath, ['scripts/run-source.ts', 'apps/translocator/src/replay/main.ts', ...args, '--policy', 'none', '--policy', 'lru', '--policy', 'planned', '--json'])) as { scores: { policy: string; total: { all: unknown }; regions: { region: string; all: unknown }[] }[] };
      const told = (await events()).filter(({ kind }) => kind === 'pull').length;
      expect(told).toBe(8);
      expect(scores.map(({ policy, total }) => [policy, total.all])).toEqual([['none', { pulls: told, hits: 0 }], ['lru', { pulls: told, hits: 6 }], ['planned', { pulls: told, hits: expect.any(Number) }]]);
      // Nobody had pulled there: what the tag names now is there for the pin that followed it.
      expect(scores[2]!.regions.find(({ region }) => region === ASIA)?.all).toEqual({ pulls: 1, hits: 1 });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('is exported between two instants, and not beyond its limit', async () => {
    const lines = async (query: string): Promise<number> => (await exported(`events&${query}`)).text.split('\n').length - 1;
    expect(await lines('limit=2')).toBe(2);
    expect(await lines('until=2020-01-01T00:00:00Z')).toBe(0);
    expect((await world.client.admin<Problem>('history/export?kind=events&since=2030-01-01T00:00:00Z')).body.errors?.[0]?.field).toBe('/since');
    expect((await world.client.admin<Problem>('history/export?kind=everything')).body.errors?.[0]?.field).toBe('/kind');
    expect((await world.client.call('/api/v1/history/export?kind=events')).status).toBe(401);
  });
});

it.each([
  [`plans/${NOBODY}`, 404, 'NOT_FOUND'],
  [`plans/${NOBODY}/compare/${NOBODY}`, 404, 'NOT_FOUND'],
  ['plans/mars/history', 404, 'NOT_FOUND'],
  ['plans/mars/outcomes', 404, 'NOT_FOUND'],
  [`plans/${NOBODY}/outcome`, 404, 'NOT_FOUND'],
  ['plans/eastus/history?limit=0', 400, 'REQUEST_INVALID'],
  ['plans/eastus/history?cursor=bm90LWpzb24', 400, 'REQUEST_INVALID'],
  ['plans/eastus/compare/me', 400, 'REQUEST_INVALID'],
])('GET %s is a problem', async (path, status, code) => {
  const reply = await world.client.admin<Problem>(path);
  expect(reply.headers['content-type']).toContain('application/problem+json');
  expect([reply.status, reply.body.code]).toEqual([status, code]);
});
