import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildProgram } from '../../e2e/support/built-program.js';
import { run } from '../../e2e/support/programs.js';
import { type Bench, BenchError, type Figure } from '../bench.js';
import { databaseBesideLoad } from './database-core.js';
import { filledDatabase } from './filled-database.js';
import { mapFigures } from './map-part.js';
import { observationFigures } from './observation-part.js';
import { buildPaced } from './load.js';
import type { BenchPlace } from './place.js';
import { registryFigures } from './registry-part.js';
import { speedFigures } from './speed-part.js';

/** The server on which databases are made and kept, named like `translocator_bench_1000000`. */
const SERVER_URL = 'TRANSLOCATOR_TEST_POSTGRES_URL';

const PARTS: ReadonlyMap<string, (place: BenchPlace) => Promise<readonly Figure[]>> = new Map([
  ['speed', speedFigures],
  ['map', mapFigures],
  ['observation', observationFigures],
  ['registry', registryFigures],
]);

/** How fast lookups are answered, how much memory and time their map takes, and how soon it follows. Each part takes one to four minutes once the databases are filled. */
export const lookupBench: Bench = {
  question: 'how many lookups a second are answered from a map of a million layers in 60 regions, against a bare node:http server and docker-registry?',
  parts: [...PARTS.keys()],
  async run(tell, parts, _, keep) {
    const serverUrl = process.env[SERVER_URL];
    if (serverUrl === undefined) throw new BenchError(`${SERVER_URL} must name a PostgreSQL server on which databases may be made`);
    for (const program of ['wrk', 'docker-registry', 'taskset', 'cc']) await run('which', [program]).catch(() => Promise.reject(new BenchError(`${program} is not installed`)));
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-bench-lookup-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    tell('building the service');
    const { main } = undo.use(await buildProgram());
    undo.use(await databaseBesideLoad(serverUrl, tell));
    const place: BenchPlace = { main, folder, pacer: await buildPaced(folder), tell, database: (layerCount) => filledDatabase(serverUrl, layerCount, tell) };
    const figures: Figure[] = [];
    const failures: BenchError[] = [];
    for (const part of parts) {
      try {
        const some = await PARTS.get(part)!(place);
        figures.push(...some);
        await keep(some);
      } catch (error) {
        const failure = new BenchError(`the part ${part} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        tell(failure.message);
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw new BenchError(`${failures.length} of ${parts.length} parts failed; the figures of the others were kept:\n${failures.map(({ message }) => message).join('\n')}`);
    return figures;
  },
};
