import { readFileSync } from 'node:fs';

import { describeError } from '#errors';
import { startFileShareEmulator } from '#file-share-emulator';

import { HELP, readConfig } from './config.js';

const config = readConfig(process.argv.slice(2), process.env, (path) => readFileSync(path, 'utf8'));
if (config.kind === 'help') {
  process.stdout.write(HELP);
} else if (config.kind === 'invalid') {
  process.stderr.write(`${config.problems.map((problem) => `file-share-emulator: ${problem}`).join('\n')}\nTry --help.\n`);
  process.exitCode = 2;
} else {
  try {
    const emulator = await startFileShareEmulator(config.options);
    process.stdout.write(`${config.options.accounts.map(({ name }) => `${emulator.url}/${name}`).join('\n')}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void emulator.close());
  } catch (error) {
    process.stderr.write(`file-share-emulator: ${describeError(error)}\n`);
    process.exitCode = 1;
  }
}
