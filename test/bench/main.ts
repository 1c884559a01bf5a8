/**
 * Runs a bench: `npm run bench -- NAME [--part PART]… [--OPTION VALUE]… [--json]`; without a name it lists what there is. Prints a table, or with `--json` the report; keeps the report of the last run
 * under `test/bench/results`. With parts only these are measured, and the figures of the others stay as they were kept; so they do when a part fails. A part that is measured by itself has a report of its own. The exit code is 0 when every bound holds, 1 when one does not, 2 when the bench could not be run.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { accessBench } from './access/access-bench.js';
import { askedOf, type Bench, BenchError, type BenchReport, type Figure, mergedFigures, thisMachine } from './bench.js';
import { copyBench } from './copy/copy-bench.js';
import { expansionBench } from './expansion/expansion-bench.js';
import { forecastBench } from './forecast/forecast-bench.js';
import { gatewayBench } from './gateway/gateway-bench.js';
import { lookupBench } from './lookup/lookup-bench.js';
import { placementBench } from './placement/placement-bench.js';
import { replayBench } from './replay/replay-bench.js';
import { tableOf } from './report-table.js';

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['access', accessBench],
  ['copy', copyBench],
  ['expansion', expansionBench],
  ['forecast', forecastBench],
  ['gateway', gatewayBench],
  ['lookup', lookupBench],
  ['placement', placementBench],
  ['replay', replayBench],
]);
/** From `dist/test/bench`. */
const RESULTS = join(import.meta.dirname, '../../../test/bench/results');

function listBenches(): string {
  return [...BENCHES].map(([name, { question, parts = [], partsApart = [], options = {}, files = {} }]) => `  ${name}: ${question}${parts.length === 0 ? '' : ` (parts: ${parts.join(', ')}${partsApart.length === 0 ? '' : `; only by themselves: ${partsApart.join(', ')}`})`}${Object.entries({ ...options, ...files }).map(([option, what]) => `\n    --${option}: ${what}`).join('')}`).join('\n');
}

async function main(): Promise<number> {
  // What may be given besides depends on the bench, which stands first.
  const { options: ownOptions = {}, files = {} } = BENCHES.get(process.argv[2] ?? '') ?? {};
  const own = Object.keys({ ...ownOptions, ...files });
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, part: { type: 'string', multiple: true, default: [] }, ...Object.fromEntries(own.map((option) => [option, { type: 'string' as const }])) },
  });
  const given = values as Readonly<Record<string, unknown>>;
  const options = Object.fromEntries(own.flatMap((option) => (typeof given[option] === 'string' ? [[option, given[option]]] : [])));
  const [name, ...more] = positionals;
  if (name === undefined) {
    console.log(`npm run bench -- NAME [--part PART] [--json], where NAME is one of\n${listBenches()}`);
    return 0;
  }
  const bench = BENCHES.get(name);
  if (bench === undefined || more.length > 0) throw new BenchError(`there is no bench ${JSON.stringify(positionals.join(' '))}; there are\n${listBenches()}`);
  const asked = askedOf(name, bench, values.part);
  // With --json, standard output is for machines alone.
  // What was measured with other options than usual is not kept.
  const isKept = Object.keys(options).every((option) => option in files);
  const keep = async (some: readonly Figure[]): Promise<void> => {
    if (isKept) await keepReport(reportOf(asked.report, mergedFigures(await keptFigures(asked.report), some)));
  };
  const figures = await bench.run((line) => console.error(line), asked.parts, options, keep);
  const report = reportOf(asked.report, asked.isMerged ? mergedFigures(await keptFigures(asked.report), figures) : figures);
  if (isKept) await keepReport(report);
  console.log(values.json ? textOf(report).trimEnd() : tableOf(report));
  return figures.some((figure) => figure.holds === false) ? 1 : 0;
}

function reportOf(bench: string, figures: readonly Figure[]): BenchReport {
  return { bench, machine: thisMachine(), figures };
}

function textOf(report: BenchReport): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

async function keepReport(report: BenchReport): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  await writeFile(join(RESULTS, `${report.bench}.json`), textOf(report));
}

/** The figures of the last run; none where there was none. */
async function keptFigures(name: string): Promise<BenchReport['figures']> {
  try {
    return (JSON.parse(await readFile(join(RESULTS, `${name}.json`), 'utf8')) as BenchReport).figures;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const isForPeople = error instanceof BenchError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  console.error(isForPeople ? `bench: ${error.message}` : error);
  process.exitCode = 2;
}
