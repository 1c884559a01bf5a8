/**
 * Sends requests at a steady pace, whatever comes back: `paced-program.js PORT RATE SECONDS FILE`, where each part of the file is a whole request. Prints the times in milliseconds that
 * answers took since their request was due, as quantiles, how many there were, and why the others failed.
 */
import { readFileSync } from 'node:fs';

import { requestsIn, WireConnection } from './wire-connection.js';

const CONNECTIONS = 64;
/** How long answers are waited for after the last request was due. */
const PATIENCE_SECONDS = 5;
const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
const requests = requestsIn(readFileSync(process.argv[5] ?? '', 'latin1'));

const times: number[] = [];
const failures = new Map<string, number>();
let [sent, failed] = [0, 0];
/** Taken in turn, so that none is idle for long: servers end connections on which nothing comes. */
const free: WireConnection[] = [];
for (let n = 0; n < CONNECTIONS; n += 1) {
  free.push(new WireConnection(port, (outcome, connection) => {
    free.push(connection);
    if ('ms' in outcome) {
      times.push(outcome.ms);
      return;
    }
    failed += 1;
    failures.set(outcome.failure, (failures.get(outcome.failure) ?? 0) + 1);
  }));
}
const all = [...free];
await new Promise((resolve) => setTimeout(resolve, 500));
const startedAt = performance.now();
const total = rate * seconds;
await new Promise<void>((resolve) => {
  const turn = (): void => {
    const now = performance.now();
    for (; sent < total && startedAt + (sent / rate) * 1000 <= now && free.length > 0; sent += 1) free.shift()!.send(requests[sent % requests.length]!, startedAt + (sent / rate) * 1000);
    if (times.length + failed >= total || now > startedAt + (seconds + PATIENCE_SECONDS) * 1000) resolve();
    else setTimeout(turn, 1);
  };
  turn();
});
const perSecond = times.length / ((performance.now() - startedAt) / 1000);
for (const connection of all) connection.close();
times.sort((a, b) => a - b);
const quantile = (ratio: number): number => times[Math.min(times.length - 1, Math.floor(times.length * ratio))] ?? Number.NaN;
// What was never answered failed as well.
const missing = total - times.length - failed;
if (missing > 0) failures.set('no answer', missing);
console.log(JSON.stringify({ count: times.length, failed: failed + missing, failures: Object.fromEntries(failures), p50: quantile(0.5), p99: quantile(0.99), max: times.at(-1), perSecond }));
