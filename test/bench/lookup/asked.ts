import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Transport } from '#mounts';

import { BenchError } from '../bench.js';
import { LAYERS_PER_IMAGE, storedImage, wholeImages } from './filled-database.js';
import { type Questions, writeQuestions } from './load.js';
import { type LookupService, SERVICE_TOKEN } from './service.js';

/** Pairs of an image and a region that are pulled: each in a region that has all of its layers. */
const HOT_PAIRS = 3000;

/** Lookups that are asked again and again. */
export interface Asked {
  readonly bodies: readonly string[];
  /** The file of whole requests, as programs of load read it. */
  readonly requests: string;
}

/** Lookups of images all over a map of so many layers, each in a region that has it whole; `transports`: what the callers can mount by, anything if not named. */
export async function askedOf(folder: string, layerCount: number, transports?: readonly Transport[]): Promise<Asked> {
  const bodies = wholeImages(HOT_PAIRS, layerCount).map((number, index) => {
    const { repository, manifest, layers, regions } = storedImage(number, layerCount);
    return JSON.stringify({ repository, manifest, layers, region: regions[index % regions.length], transports });
  });
  return { bodies, requests: await writeQuestions(folder, ['lookups', layerCount, ...(transports ?? [])].join('-'), questions(bodies)) };
}

function questions(bodies: readonly string[]): Questions {
  return { method: 'POST', path: () => '/v1/lookup', headers: { Authorization: `Bearer ${SERVICE_TOKEN}`, 'Content-Type': 'application/json' }, bodies };
}

/** What the service answers to each, in a file, one a line. @throws {BenchError} when any layer is not mounted, or there is no lease. */
export async function answersOf(folder: string, service: LookupService, { bodies }: Asked): Promise<string> {
  const path = join(folder, 'answers');
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
