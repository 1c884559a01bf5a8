/**
 * Replays a history through policies: what each would have had where, and what it would have cost.
 *
 *   npm run replay -- --catalog FILE --events FILE --regions FILE --policy NAME [--policy NAME …] [--capacity 15%] [--warm-up 7d] [--plan-every 1h] [--weight NAME=NUMBER …] [--svg FILE] [--json]
 *
 * The formats are in docs/operations.md. The exit code is 0, or 2 when it could not be done.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { describeError } from '#errors';
import { imageKey, isReplayPolicy, parseWeights, PlacementError, type PlannedOptions, Replay, REPLAY_POLICIES, type ReplayCatalogue, replayPolicy, type ReplayPolicyName, type ReplayRegions, type ReplayScore } from '#placement';
import { MINUTE_MS, parseBytes, parseDuration } from '#quantities';

import { chartOfScores } from './replay-chart.js';
import { readCatalogue, readEvents, readRegions } from './replay-files.js';
import { tableOfScores } from './replay-table.js';

/** How far neighbouring events may be out of order: clocks of different machines wrote them. */
const DISORDER_MS_MAX = 30 * MINUTE_MS;

function misuse(option: string, value: string | undefined, rule: string): PlacementError {
  return new PlacementError('REPLAY_INVALID', `--${option} ${rule}, and is ${value === undefined ? 'missing' : JSON.stringify(value)}`);
}

function capacityOf(text: string, catalogue: ReplayCatalogue): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const bytes = percent === undefined ? parseBytes(text) : (Number(percent) / 100) * catalogue.totalBytes;
  if (bytes === undefined || bytes < 0) throw misuse('capacity', text, 'is a share of the catalogue such as 15%, or bytes such as 2 TiB');
  return Math.floor(bytes);
}

function durationOf(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw misuse(option, text, 'is a time such as 7d or 15m');
  return ms;
}

/** Reads the history once before it is played, and tells from it how often an image will be pulled. */
async function oracleOf(path: string, catalogue: ReplayCatalogue, places: ReplayRegions): Promise<NonNullable<PlannedOptions['oracle']>> {
  const shares = new Map(places.regions.map(({ region }, n) => [region, n]));
  const times = places.regions.map(() => new Map<number, number[]>());
  for await (const event of readEvents(path)) {
    const of = times[shares.get(event.region) ?? -1];
    const image = catalogue.imageNumber.get(imageKey({ repository: event.repository, digest: event.image }));
    if (event.kind !== 'pull' || of === undefined || image === undefined) continue;
    of.set(image, [...(of.get(image) ?? []), event.at.getTime()]);
  }
  return (share, image, fromMs, toMs) => (times[share]?.get(image) ?? []).filter((atMs) => atMs >= fromMs && atMs < toMs).length;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      catalog: { type: 'string' }, events: { type: 'string' }, regions: { type: 'string' }, policy: { type: 'string', multiple: true, default: ['planned'] },
      capacity: { type: 'string', default: '15%' }, 'warm-up': { type: 'string', default: '0s' }, 'plan-every': { type: 'string', default: '1h' }, weight: { type: 'string', multiple: true, default: [] }, svg: { type: 'string' }, json: { type: 'boolean', default: false },
    },
  });
  const { catalog, events, regions } = values;
  if (catalog === undefined) throw misuse('catalog', catalog, 'names a file');
  if (events === undefined) throw misuse('events', events, 'names a file');
  if (regions === undefined) throw misuse('regions', regions, 'names a file');
  const names = values.policy.map((name): ReplayPolicyName => {
    if (!isReplayPolicy(name)) throw misuse('policy', name, `is one of ${REPLAY_POLICIES.join(', ')}`);
    return name;
  });
  const catalogue = await readCatalogue(catalog);
  const places = await readRegions(regions);
  const warmUpMs = durationOf('warm-up', values['warm-up']);
  const everyMs = durationOf('plan-every', values['plan-every']);
  const parameters = parseWeights(values.weight);
  const scores: ReplayScore[] = [];
  for (const name of names) {
    const oracle = name === 'perfect-forecast' ? { oracle: await oracleOf(events, catalogue, places) } : {};
    // Replicating everything is measured where there is room for everything.
    const capacityBytes = name === 'replicate-all' ? Math.ceil(catalogue.totalBytes) : capacityOf(values.capacity, catalogue);
    const roomy = name === 'replicate-all' ? { ...places, regions: places.regions.map(({ region, usdPerGb }) => ({ region, usdPerGb })) } : places;
    const replay = new Replay({ catalogue, places: roomy, capacityBytes, warmUpMs, disorderMsMax: DISORDER_MS_MAX, policy: (world) => replayPolicy(name, world, { everyMs, parameters, stopwatch: () => performance.now(), ...oracle }) });
    for await (const event of readEvents(events)) replay.play(event);
    scores.push(replay.score());
  }
  if (values.svg !== undefined) await writeFile(values.svg, chartOfScores(scores));
  process.stdout.write(`${values.json ? JSON.stringify({ capacity: values.capacity, catalogueBytes: catalogue.totalBytes, scores }, undefined, 2) : tableOfScores(scores)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`replay: ${describeError(error)}\n`);
  process.exitCode = 2;
}
