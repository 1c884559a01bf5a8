import { parseArgs } from 'node:util';

import { formatDuration } from '#quantities';

import { runDemo } from './run-demo.js';
import type { StepResult } from './step-runner.js';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });

if (values.help === true) {
  console.log('npm run demo [-- --json]\n\nCarries two real images through the whole service on temporary data. Exit code 0 only when every step held.');
} else {
  const startedAt = performance.now();
  const results = await runDemo(values.json === true ? () => undefined : printStep);
  if (values.json === true) console.log(JSON.stringify({ steps: results }, undefined, 2));
  else printEnd(results, performance.now() - startedAt);
  process.exitCode = results.every((result) => result.ok || result.skipped) ? 0 : 1;
}

/** One step, as soon as it has ended: its mark, its time, its name, and below it what was seen. */
function printStep({ name, ok, skipped, seconds, detail }: StepResult): void {
  const mark = ok ? 'ok  ' : skipped ? 'skip' : 'FAIL';
  console.log(`${mark} ${formatDuration(seconds * 1000).padStart(8)}  ${name}\n                 ${detail}`);
}

function printEnd(results: readonly StepResult[], ms: number): void {
  const count = (of: (result: StepResult) => boolean): number => results.filter(of).length;
  const failed = count((result) => !result.ok && !result.skipped);
  console.log(`\n${count((result) => result.ok)} steps held, ${failed} did not, ${count((result) => result.skipped)} skipped, in ${formatDuration(ms)}`);
}
