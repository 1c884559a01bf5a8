import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { lockFolder } from './folder-lock.js';

describe('a folder lock', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'folder-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('admits one of many callers', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(results.filter((result) => result.status === 'rejected').map((result) => result.reason.code)).toEqual(Array(7).fill('FOLDER_LOCKED'));
  });

  it('is free again after its release, and leaves no file behind', async () => {
    const lock = await lockFolder(folder);
    await lock.release();
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    await (await lockFolder(folder)).release();
  });

  it('takes over from a process that no longer lives', async () => {
    await writeFile(join(folder, '.lock'), JSON.stringify({ pid: 2 ** 22 - 3, startedAt: '1', token: 'old' }));
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_LOCKED', details: { pid: process.pid } });
    await lock.release();
  });

  it('takes over from a process whose pid was given to another one', async () => {
    await writeFile(join(folder, '.lock'), JSON.stringify({ pid: process.pid, startedAt: '1', token: 'old' }));
    await (await lockFolder(folder)).release();
  });

  it.each(['', 'nonsense', '{"pid":', 'null', '[]', '{"pid":-1}', '{"pid":0}', '{"pid":"1"}'])('takes over what a crash left as %j', async (text) => {
    await writeFile(join(folder, '.lock'), text);
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_LOCKED' });
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('holds for a process that lives', async () => {
    const stat = await readFile(`/proc/${process.ppid}/stat`, 'utf8').catch(() => '');
    const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
    await writeFile(join(folder, '.lock'), JSON.stringify({ pid: process.ppid, startedAt, token: 'theirs' }));
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'FOLDER_LOCKED', details: { pid: process.ppid } });
  });
});
