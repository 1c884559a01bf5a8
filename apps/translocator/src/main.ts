import { readFileSync } from 'node:fs';

import { ConfigError, loadConfig, printConfig } from '#config';
import { describeError } from '#errors';
import { SECOND_MS } from '#quantities';

import { parseCommandLine, usage } from './command-line.js';
import { collectSeldom } from './foundation/engine-garbage.js';
import { Settings } from './foundation/settings.js';
import { runUntilEnded } from './run-until-ended.js';
import { startTranslocator } from './translocator.js';

/** Exit codes: the caller asked for something impossible; the service could not start or went on no longer. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 1;
/** What stopping may take beyond the grace for running work: closing servers, and a database that does not answer any more. */
const STOP_SLACK_MS = 15 * SECOND_MS;
/** How long the process may go on after everything has been stopped. */
const LINGER_MAX_MS = 2 * SECOND_MS;

await main();

async function main(): Promise<void> {
  const command = parseCommandLine(process.argv.slice(2));
  if (command.kind === 'help') return console.log(usage());
  if (command.kind === 'invalid') return fail(EXIT_USAGE, `${command.message}\n\n${usage()}`);
  try {
    const { config, secrets } = loadConfig({
      environment: process.env,
      ...(command.roles === undefined ? {} : { overrides: { roles: command.roles } }),
      readFile: (path) => readFileSync(path, 'utf8'),
    });
    if (command.kind === 'print-config') return console.log(printConfig(config, secrets));
    await run(new Settings(config, secrets));
  } catch (error) {
    fail(error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED, error instanceof ConfigError ? error.message : `the service could not start: ${describeError(error)}`);
  }
}

async function run(settings: Settings): Promise<void> {
  // Of the whole process, and so here and not in the role's module: whatever else it does, answers come first.
  if (settings.config.roles.includes('lookup')) collectSeldom();
  // Heard from the beginning: whoever changes their mind while the service starts has it stopped in order as well.
  const signals = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  const service = await startTranslocator(settings);
  announce(settings, service.url);
  const stopMaxMs = settings.config.server.shutdownGrace + STOP_SLACK_MS;
  const well = await runUntilEnded(service, { asked: signals, stopMaxMs, complain: (line) => process.stderr.write(`${line}\n`) });
  if (!well) process.exitCode = EXIT_FAILED;
  // Whatever is still open by then, a socket or a thread, keeps nobody waiting.
  setTimeout(() => process.exit(), LINGER_MAX_MS).unref();
}

/** Tells people at a terminal where the service is; the made-up tokens are shown here and nowhere else. */
function announce({ madeUpTokens }: Settings, url: string): void {
  const lines = [`translocator is at ${url} (API: ${url}/api/docs)`];
  if (madeUpTokens.admin !== undefined) lines.push(`admin token, for this run only:   ${madeUpTokens.admin}`);
  if (madeUpTokens.service !== undefined) lines.push(`service token, for this run only: ${madeUpTokens.service}`);
  process.stderr.write(`${lines.join('\n')}\n`);
}

function fail(code: number, message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}
