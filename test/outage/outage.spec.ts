import { describe, expect, it } from 'vitest';

import { tableOf } from './outage-result.js';
import { runOutages } from './run-outages.js';

const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
/** A bound against hanging. */
const RUN_MAX_MS = 240_000;

/** Of `npm run test:outage` some outages, and whether the answers are right; how soon they are there is the campaign's to measure. */
const ONLY = ['database silent at a restart', 'registry silent', 'share of one region cut', 'change feed held back'];

describe.skipIf(serverUrl === undefined)('lookups by the deployed service', () => {
  it('are answered rightly while what they stand on is away', async () => {
    const results = await runOutages({ serverUrl: serverUrl!, only: ONLY, measuredMs: 500 }, () => {});
    expect(results.map(({ name }) => name)).toEqual(expect.arrayContaining(ONLY));
    expect(results.some(({ problems }) => problems.length > 0) ? tableOf(results) : '').toBe('');
  }, RUN_MAX_MS);
});
