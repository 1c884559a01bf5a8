/**
 * Feeds damaged layers to the expansion until the time is over, and fails when one of them breaks a promise.
 *
 *   npm run fuzz -- --minutes 10 [--seed 1]
 *
 * A failed case is run again alone by `--seed <its number> --minutes 0.01`.
 */
import { parseArgs } from 'node:util';

import { runCampaign } from './campaign.js';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } });
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(firstSeed) || firstSeed < 0) throw new Error('--minutes is a number above 0, --seed a whole number from 0 on');
const failed = await runCampaign({ firstSeed, minutes, print: (line) => process.stdout.write(`${line}\n`) });
process.exitCode = failed.length === 0 ? 0 : 1;
