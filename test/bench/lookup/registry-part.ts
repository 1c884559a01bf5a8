import { join } from 'node:path';

import { freePort } from '../../e2e/support/free-port.js';
import { type Figure, measured, ratioAtLeast } from '../bench.js';
import { askedOf } from './asked.js';
import { startDockerRegistry } from './docker-registry.js';
import { LAYERS_PER_IMAGE, storedImage } from './filled-database.js';
import { mostHeadsPerSecond, mostPerSecond, writeQuestions } from './load.js';
import { type BenchPlace, SMALL } from './place.js';
import { LookupService } from './service.js';

const WARM_SECONDS = 4;
const LOAD_SECONDS = 8;

/** Images resolved a second, against a registry that is asked for each of their layers. */
export async function registryFigures(place: BenchPlace): Promise<readonly Figure[]> {
  const { folder, tell } = place;
  tell('docker-registry');
  const registry = await registryRate(folder);
  tell('the same from the map');
  const database = await place.database(SMALL);
  await using service = await LookupService.start(place.main, join(folder, 'registry-peer'), database);
  const { requests } = await askedOf(folder, SMALL);
  await mostPerSecond(folder, requests, service.port, WARM_SECONDS);
  const lookups = await mostPerSecond(folder, requests, service.port, LOAD_SECONDS);
  return [
    measured('docker-registry, HEAD', registry.perSecond, 'requests/s'),
    // Were it less than most of a core, not the registry would have been measured.
    measured('docker-registry, HEAD: of its core', registry.busyRatio, 'ratio'),
    ratioAtLeast('images resolved/s', lookups / (registry.perSecond / LAYERS_PER_IMAGE), { against: 'docker-registry, HEAD for each layer', bound: 10 }),
  ];
}

async function registryRate(folder: string): Promise<{ readonly perSecond: number; readonly busyRatio: number }> {
  const { layers } = storedImage(0, SMALL);
  const port = await freePort();
  await using registry = await startDockerRegistry(folder, port, 'team/app', layers);
  const requests = await writeQuestions(folder, 'heads', { method: 'HEAD', path: (digest) => `/v2/team/app/blobs/${digest}`, headers: {}, bodies: layers });
  await mostHeadsPerSecond(requests, port, { pid: registry.pid, seconds: WARM_SECONDS });
  // Awaited here: on return the registry is ended.
  const heads = await mostHeadsPerSecond(requests, port, { pid: registry.pid, seconds: LOAD_SECONDS });
  return heads;
}
