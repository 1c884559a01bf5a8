/**
 * Expands layers that are too large for the suite: millions of entries, files of over 8 GiB. Takes minutes, and some GiB of memory and disk.
 *
 *   npm run test:campaign [-- --json] [--only <part of a name>] [--entries <number>]
 */
import { parseArgs } from 'node:util';

import { runLargeLayers } from './large-layers.js';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false }, only: { type: 'string', default: '' }, entries: { type: 'string', default: '1000000' } } });
const figures = await runLargeLayers({ only: values.only, entryCount: Number(values.entries) }, (line) => process.stderr.write(`${line}\n`));
if (values.json) process.stdout.write(`${JSON.stringify({ campaign: 'large-layers', figures })}\n`);
else for (const { name, value, unit, bound, holds } of figures) process.stdout.write(`${holds ? 'holds' : 'FAILS'}  ${name}: ${value} ${unit} (bound ${bound})\n`);
process.exitCode = figures.every(({ holds }) => holds) ? 0 : 1;
