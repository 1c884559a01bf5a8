import { join } from 'node:path';

import { type Figure, measured, median, ratioAtLeast, valueAtMost } from '../bench.js';
import { answersOf, askedOf } from './asked.js';
import { mostPerSecond, paced, ServerProgram } from './load.js';
import { type BenchPlace, LARGE, sizeName, SMALL } from './place.js';
import { LookupService } from './service.js';

/** Turns of the peer and of the service, one after the other, so that what else the machine does falls on both. */
const ROUNDS = 3;
const ROUND_SECONDS = 5;
/** Until the code is compiled. */
const WARM_SECONDS = 4;
const PACED_SECONDS = 10;
/** What is promised of a map of a million layers. */
const COLD_START_MAX_SECONDS = 30;
const MEMORY_MAX_GB = 2.5;

/** How soon maps of both sizes are loaded, how many lookups a second are answered from them, beside the bare server, how soon at half of that, and in how much memory. */
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
  const rates = await besideBare({ folder, service, answers, requests: asked.requests });
  const half = await paced(asked.requests, service.port, { perSecond: rates.service / 2, seconds: PACED_SECONDS });
  const memory = await service.memory();
  tell(`${size}: ${Math.round(rates.service)} requests/s against ${Math.round(rates.bare)}; at half ${JSON.stringify(half)}`);
  return {
    perSecond: rates.service,
    figures: [
      valueAtMost(`cold start from PostgreSQL, ${size}`, service.readyAfterSeconds, { unit: 's', bound: COLD_START_MAX_SECONDS }),
      measured(`requests/s, ${size}`, rates.service, 'requests/s'),
      ratioAtLeast(`requests/s, ${size}`, rates.service / rates.bare, { against: 'bare node:http with JSON and a Map', bound: 1 }),
      measured(`p50 at half of that, ${size}`, half.p50, 'ms'),
      valueAtMost(`p99 at half of that, ${size}`, half.p99, { unit: 'ms', bound: 5 }),
      valueAtMost(`memory at most with lookups, ${size}`, memory.mostBytes / 1e9, { unit: 'GB', bound: MEMORY_MAX_GB }),
    ],
  };
}

interface Sides {
  readonly folder: string;
  readonly service: LookupService;
  readonly answers: string;
  readonly requests: string;
}

/** Requests a second of the bare server and of the service: the median of their turns. */
async function besideBare({ folder, service, answers, requests }: Sides): Promise<{ readonly bare: number; readonly service: number }> {
  await using bare = new ServerProgram([process.execPath, join(import.meta.dirname, 'bare-program.js'), answers]);
  const ports = [Number(await bare.said(([line]) => line, 30_000)), service.port];
  const rates: [number[], number[]] = [[], []];
  for (const port of ports) await mostPerSecond(folder, requests, port, WARM_SECONDS);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [side, port] of ports.entries()) rates[side]!.push(await mostPerSecond(folder, requests, port, ROUND_SECONDS));
  }
  return { bare: median(rates[0]), service: median(rates[1]) };
}
