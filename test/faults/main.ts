/**
 * Makes copies under every fault that shares have, and kills the worker at random moments, with the service as it is deployed. Takes about a quarter of an
 * hour, and needs a PostgreSQL that may be given a database: TRANSLOCATOR_TEST_POSTGRES_URL.
 *
 *   npm run test:faults [-- --json] [--only <part of a name>]... [--copies <number>] [--kills <number>] [--seed <number>]
 */
import { parseArgs } from 'node:util';

import { seededRandom } from './seeded-random.js';
import { runFaults } from './run-faults.js';
import { holds, tableOf } from './fault-result.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false }, only: { type: 'string', multiple: true, default: [] },
    copies: { type: 'string', default: '200' }, kills: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' },
  },
});
const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
if (serverUrl === undefined) throw new Error('TRANSLOCATOR_TEST_POSTGRES_URL names no PostgreSQL');
const results = await runFaults(
  { serverUrl, only: values.only, copies: Number(values.copies), kills: Number(values.kills), random: seededRandom(Number(values.seed)) },
  (result) => process.stderr.write(`${tableOf([result])}\n\n`),
);
process.stdout.write(values.json ? `${JSON.stringify({ campaign: 'faults', seed: Number(values.seed), results })}\n` : `${tableOf(results)}\n`);
process.exitCode = results.length > 0 && results.every(holds) ? 0 : 1;
