/**
 * Runs a bench: `npm run bench -- NAME [--json]`; without a name it lists what there is. Prints a table, or with `--json` the report; keeps the report of the last run
 * under `test/bench/results`. The exit code is 0 when every bound holds, 1 when one does not, 2 when the bench could not be run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { accessBench } from './access/access-bench.js';
import { type Bench, BenchError, type BenchReport, thisMachine } from './bench.js';
import { copyBench } from './copy/copy-bench.js';
import { expansionBench } from './expansion/expansion-bench.js';
import { forecastBench } from './forecast/forecast-bench.js';
import { gatewayBench } from './gateway/gateway-bench.js';
import { lookupBench } from './lookup/lookup-bench.js';
import { placementBench } from './placement/placement-bench.js';
import { tableOf } from './report-table.js';

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['access', accessBench],
  ['copy', copyBench],
  ['expansion', expansionBench],
  ['forecast', forecastBench],
  ['gateway', gatewayBench],
  ['lookup', lookupBench],
  ['placement', placementBench],
]);
/** From `dist/test/bench`. */
const RESULTS = join(import.meta.dirname, '../../../test/bench/results');

function listBenches(): string {
  return [...BENCHES].map(([name, { question }]) => `  ${name}: ${question}`).join('\n');
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean', default: false } } });
  const [name, ...more] = positionals;
  if (name === undefined) {
    console.log(`npm run bench -- NAME [--json], where NAME is one of\n${listBenches()}`);
    return 0;
  }
  const bench = BENCHES.get(name);
  if (bench === undefined || more.length > 0) throw new BenchError(`there is no bench ${JSON.stringify(positionals.join(' '))}; there are\n${listBenches()}`);
  // With --json, standard output is for machines alone.
  const figures = await bench.run((line) => console.error(line));
  const report: BenchReport = { bench: name, machine: thisMachine(), figures };
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  await mkdir(RESULTS, { recursive: true });
  await writeFile(join(RESULTS, `${name}.json`), json);
  console.log(values.json ? json.trimEnd() : tableOf(report));
  return figures.some((figure) => figure.holds === false) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isForPeople = error instanceof BenchError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  console.error(isForPeople ? `bench: ${error.message}` : error);
  process.exitCode = 2;
}
