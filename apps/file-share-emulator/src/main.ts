#!/usr/bin/env node
import { readFileSync } from 'node:fs';

import { describeError } from '#errors';
import { type FileShareEmulator, startFileShareEmulator } from '#file-share-emulator';

import { readConfig } from './config.js';
import { HELP } from './help.js';

const config = readConfig(process.argv.slice(2), process.env, (path) => readFileSync(path, 'utf8'));
if (config.kind === 'help') {
  process.stdout.write(HELP);
} else if (config.kind === 'invalid') {
  process.stderr.write(`${config.problems.map((problem) => `file-share-emulator: ${problem}`).join('\n')}\nTry --help.\n`);
  process.exitCode = 2;
} else {
  try {
    const emulator = await startFileShareEmulator(config.options);
    process.stdout.write(`${endpoints(emulator, config.options.accounts.map(({ name }) => name)).join('\n')}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void emulator.close());
  } catch (error) {
    process.stderr.write(`file-share-emulator: ${describeError(error)}\n`);
    process.exitCode = 1;
  }
}

/** Endpoints of all accounts over HTTP, then over HTTPS, then the control interface: a line each. */
function endpoints({ url, secureUrl, controlUrl }: FileShareEmulator, accounts: readonly string[]): string[] {
  const origins = [url, secureUrl].flatMap((origin) => (origin === undefined ? [] : [origin]));
  return [...origins.flatMap((origin) => accounts.map((name) => `${origin}/${name}`)), ...(controlUrl === undefined ? [] : [`control: ${controlUrl}`])];
}
