/**
 * Sends requests as fast as their answers come back, as `wrk` does, which waits for bodies that answers to HEAD do not have: `heads-program.js PORT SECONDS FILE`. Prints how many were answered well each
 * second, and why others failed.
 */
import { readFileSync } from 'node:fs';

import { requestsIn, WireConnection } from './wire-connection.js';

const CONNECTIONS = 32;
const [port = 0, seconds = 0] = process.argv.slice(2, 4).map(Number);
const requests = requestsIn(readFileSync(process.argv[4] ?? '', 'latin1'));

let [sent, answered, failed] = [0, 0, 0];
const failures = new Map<string, number>();
const startedAt = performance.now();
const endsAt = startedAt + seconds * 1000;
const next = (connection: WireConnection): void => {
  const now = performance.now();
  if (now >= endsAt) connection.close();
  else connection.send(requests[sent++ % requests.length]!, now);
};
const connections = Array.from({ length: CONNECTIONS }, () => new WireConnection(port, (outcome, connection) => {
  if ('ms' in outcome) answered += 1;
  else {
    failed += 1;
    failures.set(outcome.failure, (failures.get(outcome.failure) ?? 0) + 1);
  }
  next(connection);
}));
for (const connection of connections) next(connection);
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const perSecond = answered / ((performance.now() - startedAt) / 1000);
for (const connection of connections) connection.close();
console.log(JSON.stringify({ perSecond, failed, failures: Object.fromEntries(failures) }));
