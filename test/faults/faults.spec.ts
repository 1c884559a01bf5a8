import { describe, expect, it } from 'vitest';

import { runFaults } from './run-faults.js';
import { holds, tableOf } from './fault-result.js';
import { seededRandom } from './seeded-random.js';

const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
/** A bound against hanging. */
const RUN_MAX_MS = 480_000;

/** Of `npm run test:faults` what the specs of shares and copies cannot show alone, and so little of it that it only shows that nothing is broken. */
const ONLY = ['slow-deletion', 'share-full', 'many-at-once', 'kill -9'];

describe.skipIf(serverUrl === undefined)('copies by the deployed service', () => {
  it('end whole when much goes wrong at once, and however often the worker is killed', async () => {
    const results = await runFaults({ serverUrl: serverUrl!, only: ONLY, copies: 4, kills: 2, random: seededRandom(1) });
    expect(results.every(holds) ? '' : tableOf(results)).toBe('');
    expect(results.map(({ name, strikes }) => [name.split(' of ')[0], strikes > 0])).toEqual([['slow-deletion', false], ['share-full', true], ['many-at-once', true], ['kill -9', true]]);
  }, RUN_MAX_MS);
});
