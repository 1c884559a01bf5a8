import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { ENGINE_FLAGS } from './engine-garbage.js';

const execute = promisify(execFile);

/** What this Node says when a running program sets a flag of V8. One that it does not know is no error, but has no effect. */
async function complaintAbout(flag: string): Promise<string> {
  const { stderr } = await execute(process.execPath, ['-e', `require('node:v8').setFlagsFromString(${JSON.stringify(flag)})`]);
  return stderr;
}

it('says nothing to V8 that this version of it does not know', async () => {
  expect(await complaintAbout('--no-such-flag-of-the-engine')).toMatch(/unrecognized flag/);
  for (const flag of ENGINE_FLAGS) expect(await complaintAbout(flag)).toBe('');
});
