/**
 * Expands what is too large for the suite: layers of millions of entries, files of over 8 GiB, an image of some 28 layers that is built for it. Takes minutes, and some GiB of memory
 * and disk; the image also root, the network, debootstrap and buildah.
 *
 *   npm run test:campaign [-- --json] [--only <part of a name>] [--entries <number>] [--image <folder of an OCI image layout>]
 */
import { parseArgs } from 'node:util';

import { runLargeLayers } from './large-layers.js';
import { runRealImage } from './real-image.js';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string', default: '' }, entries: { type: 'string', default: '1000000' }, image: { type: 'string', default: '' } },
});
const print = (line: string): void => void process.stderr.write(`${line}\n`);
const figures = [
  ...await runRealImage({ only: values.only, layout: values.image }, print),
  ...await runLargeLayers({ only: values.only, entryCount: Number(values.entries) }, print),
];
if (values.json) process.stdout.write(`${JSON.stringify({ campaign: 'expansion', figures })}\n`);
else for (const { name, value, unit, bound, holds } of figures) process.stdout.write(`${holds ? 'holds' : 'FAILS'}  ${name}: ${value} ${unit} (bound ${bound})\n`);
process.exitCode = figures.every(({ holds }) => holds) ? 0 : 1;
