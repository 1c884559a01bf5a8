import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { compareTrees } from './compare-trees.js';
import { canMountLayers, temporaryFolder } from './mounted-layer.js';

const run = promisify(execFile);
const MAKE = `
  cd "$1"; mkdir dir; printf same > file; ln file second; ln -s file soft; mknod null c 1 3; mkfifo pipe; printf other > alone
  python3 -c "import os; os.setxattr('file', 'trusted.x', b'1')"
  find . -exec touch -h -d 2020-01-01T00:00:00.000000001Z {} +`;

/** Changes one thing in the second of two equal trees. */
async function differencesAfter(change: string): Promise<string[]> {
  await using left = await temporaryFolder();
  await using right = await temporaryFolder();
  for (const { path } of [left, right]) await run('sh', ['-ec', MAKE, 'sh', path]);
  await run('sh', ['-ec', `cd "$1"; ${change}; touch -d 2020-01-01T00:00:00.000000001Z .`, 'sh', right.path]);
  return await compareTrees(right.path, left.path);
}

describe.skipIf(!canMountLayers())('compareTrees', () => {
  it('finds no difference between equal trees', async () => {
    expect(await differencesAfter(':')).toEqual([]);
  });

  it.each([
    ['a missing name', 'rm pipe', 'pipe'],
    ['a further name', 'printf x > new', 'new'],
    ['a type', 'rm pipe; printf x > pipe', 'pipe'],
    ['a mode', 'chmod 600 alone', 'alone'],
    ['an owner', 'chown 5:0 alone', 'alone'],
    ['a group', 'chown -h 0:5 soft', 'soft'],
    ['a nanosecond', 'touch -d 2020-01-01T00:00:00.000000002Z alone', 'alone'],
    ['contents of the same length', 'printf ether > alone; touch -d 2020-01-01T00:00:00.000000001Z alone', 'alone'],
    ['a target', 'ln -sfn dir soft; touch -h -d 2020-01-01T00:00:00.000000001Z soft', 'soft'],
    ['a device number', 'rm null; mknod null c 1 5; touch -d 2020-01-01T00:00:00.000000001Z null', 'null'],
    ['a link that is a copy', 'cp -a --remove-destination second copy; mv copy second', 'second'],
    ['an attribute', `python3 -c "import os; os.setxattr('file', 'trusted.x', b'2')"`, 'file'],
    ['a further attribute', `python3 -c "import os; os.setxattr('soft', 'trusted.x', b'', follow_symlinks=False)"`, 'soft'],
  ])('finds %s', async (_, change, path) => {
    expect(await differencesAfter(change)).toContainEqual(expect.stringMatching(new RegExp(`^${path}: `)));
  });
});
