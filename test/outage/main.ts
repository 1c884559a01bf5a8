/**
 * Takes away what lookups stand on, one thing after the other, while pulls are answered by the service as it is deployed, and measures the answers. Takes some minutes, and needs a PostgreSQL
 * that may be given a database (TRANSLOCATOR_TEST_POSTGRES_URL), and the programs wrk and faketime.
 *
 *   npm run test:outage [-- --json] [--only <part of a name>]... [--seconds <number>]
 */
import { parseArgs } from 'node:util';

import { holds, tableOf } from './outage-result.js';
import { runOutages } from './run-outages.js';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string', multiple: true, default: [] }, seconds: { type: 'string', default: '4' } },
});
const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
if (serverUrl === undefined) throw new Error('TRANSLOCATOR_TEST_POSTGRES_URL names no PostgreSQL');
const results = await runOutages({ serverUrl, only: values.only, measuredMs: Number(values.seconds) * 1000 }, (result) => process.stderr.write(`${tableOf([result])}\n\n`));
process.stdout.write(values.json ? `${JSON.stringify({ campaign: 'outages', results })}\n` : `${tableOf(results)}\n`);
process.exitCode = results.length > 0 && results.every(holds) ? 0 : 1;
