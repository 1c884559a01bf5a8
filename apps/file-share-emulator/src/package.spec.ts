import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { FAULT_KINDS } from '#file-share-emulator';
import { sendRaw, TEST_KEY } from '#file-share-emulator/testing';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

let folder: string;
let archive: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emulator-package-'));
  archive = (await run(process.execPath, [join(ROOT, 'scripts/pack-emulator.ts'), folder])).stdout.trim();
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** As somebody who has nothing but the archive: a folder with only that in it, npm's cache of its own, and no registry. */
async function elsewhere(name: string): Promise<{ readonly cwd: string; readonly env: NodeJS.ProcessEnv }> {
  const cwd = join(folder, name);
  await mkdir(cwd);
  await copyFile(archive, join(cwd, basename(archive)));
  const env = { PATH: process.env['PATH'], HOME: cwd, npm_config_cache: join(folder, `${name}-cache`), npm_config_offline: 'true', npm_config_update_notifier: 'false' };
  return { cwd, env };
}

describe('the package', () => {
  it('helps in a folder of its own, without a registry, and names every fault', async () => {
    const { stdout } = await run('npx', ['--yes', `./${basename(archive)}`, '--help'], await elsewhere('helped'));
    for (const kind of FAULT_KINDS) expect(stdout).toContain(`kind: ${kind}`);
    expect(basename(archive)).toBe('file-share-emulator-0.1.0.tgz');
  }, 120_000);

  it('is installed without anything else, and serves shares', async () => {
    const place = await elsewhere('served');
    await run('npm', ['install', '--no-audit', '--no-fund', `./${basename(archive)}`], place);
    expect((await readdir(join(place.cwd, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual(['file-share-emulator']);
    const program = spawn(join(place.cwd, 'node_modules/.bin/file-share-emulator'), ['--port', '0', '--account', `east:${TEST_KEY}`], { ...place, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(program, 'exit');
    try {
      const [line] = (await once(program.stdout, 'data')) as [Buffer];
      const { origin } = new URL(line.toString().trim());
      const create = { method: 'PUT', url: origin, target: '/east/layers?restype=share', signAs: { account: 'east', key: TEST_KEY } };
      expect((await sendRaw(create)).status).toBe(201);
    } finally {
      program.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
    const notices = await readFile(join(place.cwd, 'node_modules/file-share-emulator/THIRD-PARTY.txt'), 'utf8');
    for (const name of ['undici', 'yaml', 'zod']) expect(notices).toMatch(new RegExp(`^${name} \\d`, 'm'));
  }, 120_000);
});
