/**
 * Plays the stress scenarios and compares them with their transcripts, or writes these anew.
 *
 *   npm run scenarios [-- --write] [-- NAME …]
 *
 * The exit code is 0; 1 when a law is broken or a transcript differs; 2 when a name is not known.
 */
import { parseArgs } from 'node:util';

import { keepTranscript, keptTranscript, SCENARIOS } from './stress/transcripts.js';

const { values, positionals } = parseArgs({ options: { write: { type: 'boolean', default: false } }, allowPositionals: true });
const unknown = positionals.filter((name) => SCENARIOS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`there is no scenario ${unknown.join(', ')}; there are ${Object.keys(SCENARIOS).join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of positionals.length > 0 ? positionals : Object.keys(SCENARIOS)) await play(name);
}

async function play(name: string): Promise<void> {
  try {
    const transcript = await SCENARIOS[name]!();
    const isSame = (await keptTranscript(name)) === transcript;
    if (values.write && !isSame) await keepTranscript(name, transcript);
    process.stdout.write(`${name}: ${isSame ? 'as before' : values.write ? 'written' : 'differs; npm run scenarios -- --write writes it anew'}\n`);
    if (!isSame && !values.write) process.exitCode = 1;
  } catch (error) {
    process.stdout.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
