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

/** How often the whole of a new process's memory is searched by two calls, with collecting seldom or without. */
async function searchesOf(collectsSeldom: boolean): Promise<number> {
  const program = `import { PerformanceObserver, constants } from 'node:perf_hooks';
    import { collectSeldom, searchAfterLoad } from ${JSON.stringify(new URL('engine-garbage.ts', import.meta.url).href)};
    let count = 0;
    new PerformanceObserver((list) => { count += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length; }).observe({ entryTypes: ['gc'] });
    if (${collectsSeldom}) collectSeldom();
    searchAfterLoad();
    searchAfterLoad();
    setTimeout(() => console.log(count, typeof globalThis.gc), 50);`;
  const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toMatch(/ undefined\n$/);
  return Number.parseInt(stdout, 10);
}

it('searches for garbage after a load where it is collected seldom, and nowhere else', async () => {
  expect(await searchesOf(true)).toBe(2);
  expect(await searchesOf(false)).toBe(0);
});
