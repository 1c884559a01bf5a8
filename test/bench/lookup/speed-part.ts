import { join } from 'node:path';

import { type Figure, measured, median, ratioAtLeast, valueAtMost } from '../bench.js';
import { answersOf, askedOf } from './asked.js';
import { mostPerSecond, paced, type PacedOutcome, ServerProgram } from './load.js';
import { type BenchPlace, LARGE, sizeName, SMALL } from './place.js';
import { LookupService } from './service.js';

/** Turns of the peer and of the service, one after the other, so that what else the machine does falls on both. */
const ROUNDS = 3;
const ROUND_SECONDS = 5;
/** Until the code is compiled. */
const WARM_SECONDS = 4;
/** Longer than a snapshot takes at 200 k layers, and most of one at 1 M; counts and leases are written four times in it. */
const PACED_SECONDS = 20;
/** Under the same load before it counts: until what as many requests as there can be left behind is written, and what then ran seldom is compiled. */
const SETTLE_SECONDS = 12;
/** What is promised of a map of a million layers. */
const COLD_START_MAX_SECONDS = 30;
const MEMORY_MAX_GB = 2.5;
const P99_MAX_MS = 5;

/** How soon maps of both sizes are loaded, how many lookups a second are answered from them, beside the bare server, how soon at half of that, with and without a snapshot being written, and in how much memory. */
export async function speedFigures(place: BenchPlace): Promise<readonly Figure[]> {
  const small = await atSize(place, SMALL);
  const large = await atSize(place, LARGE);
  return [...small.figures, ...large.figures, ratioAtLeast('requests/s at 1 M layers', large.perSecond / small.perSecond, { against: 'the same at 200 k layers', bound: 0.8 })];
}

async function atSize(place: BenchPlace, layerCount: number): Promise<{ readonly perSecond: number; readonly figures: readonly Figure[] }> {
  const { folder, tell } = place;
  const size = sizeName(layerCount);
  const database = await place.database(layerCount);
  tell(`${size}: starting from PostgreSQL`);
  await using service = await LookupService.start(place.main, join(folder, `speed-${layerCount}`), database);
  const asked = await askedOf(folder, layerCount);
  const answers = await answersOf(folder, service, asked);
  tell(`${size}: loaded after ${service.readyAfterSeconds.toFixed(1)} s; lookups`);
  await using bare = new ServerProgram([process.execPath, join(import.meta.dirname, 'bare-program.js'), answers]);
  const ports = [Number(await bare.said(([line]) => line, 30_000)), service.port] as const;
  const sides: Sides = { folder, ports, requests: asked.requests };
  const atPace = (port: number, perSecond: number, seconds = PACED_SECONDS): Promise<PacedOutcome> => paced({ program: place.pacer, requests: asked.requests, port, perSecond, seconds });
  for (const port of ports) await mostPerSecond(folder, asked.requests, port, WARM_SECONDS);
  const first = await besideBare(sides, 1);
  tell(`${size}: half of ${Math.round(first.service)} requests/s while the first snapshot is written`);
  await atPace(service.port, first.service / 2, SETTLE_SECONDS);
  await service.endsSnapshot();
  // The load goes on until it begins: a process that rests cleans up, and is cold afterwards.
  await service.beginsSnapshot(() => atPace(service.port, first.service / 2, 1));
  const [during, searchesDuring] = await withSearches(service, () => atPace(service.port, first.service / 2));
  await service.endsSnapshot();
  const rates = await besideBare(sides, ROUNDS);
  // The same load on the bare server says what this machine, and Node, make of it.
  const bareHalf = await atPace(ports[0], rates.service / 2);
  await atPace(service.port, rates.service / 2, SETTLE_SECONDS);
  const [half, searches] = await withSearches(service, () => atPace(service.port, rates.service / 2));
  const memory = await service.memory();
  tell(`${size}: ${Math.round(rates.service)} requests/s against ${Math.round(rates.bare)}; at half ${JSON.stringify(half)}, with a snapshot ${JSON.stringify(during)}, the bare server ${JSON.stringify(bareHalf)}`);
  return {
    perSecond: rates.service,
    figures: [
      valueAtMost(`cold start from PostgreSQL, ${size}`, service.readyAfterSeconds, { unit: 's', bound: COLD_START_MAX_SECONDS }),
      measured(`requests/s, ${size}`, rates.service, 'requests/s'),
      ratioAtLeast(`requests/s, ${size}`, rates.service / rates.bare, { against: 'bare node:http with JSON and a Map', bound: 1 }),
      measured(`p50 at half of that, ${size}`, half.p50, 'ms'),
      valueAtMost(`p99 at half of that, ${size}`, half.p99, { unit: 'ms', bound: P99_MAX_MS }),
      measured(`p99 of bare node:http with JSON and a Map at the same rate, ${size}`, bareHalf.p99, 'ms'),
      measured(`p99 at half of that, ${size}: how late the load itself was`, half.ownP99, 'ms'),
      valueAtMost(`p99 at half, from the beginning of a snapshot, ${size}`, during.p99, { unit: 'ms', bound: P99_MAX_MS }),
      measured(`searches of the old space in both windows, ${size}`, searchesDuring + searches, 'searches'),
      valueAtMost(`memory at most with lookups and a snapshot, ${size}`, memory.mostBytes / 1e9, { unit: 'GB', bound: MEMORY_MAX_GB }),
    ],
  };
}

/** What a load came to, and how often the old space was searched for garbage meanwhile. */
async function withSearches(service: LookupService, load: () => Promise<PacedOutcome>): Promise<readonly [PacedOutcome, number]> {
  const before = await service.oldSearches();
  const outcome = await load();
  return [outcome, (await service.oldSearches()) - before];
}

interface Sides {
  readonly folder: string;
  /** Of the bare server and of the service. */
  readonly ports: readonly [number, number];
  readonly requests: string;
}

/** Requests a second of the bare server and of the service: the median of so many turns. */
async function besideBare({ folder, ports, requests }: Sides, rounds: number): Promise<{ readonly bare: number; readonly service: number }> {
  const rates: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    for (const [side, port] of ports.entries()) rates[side]!.push(await mostPerSecond(folder, requests, port, ROUND_SECONDS));
  }
  return { bare: median(rates[0]), service: median(rates[1]) };
}
