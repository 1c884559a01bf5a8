import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { FAULT_KINDS } from '#file-share-emulator';
import { sendRaw, startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';

import { HELP } from './help.js';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

let emulator: TemporaryEmulator;
beforeAll(async () => {
  emulator = await startTemporaryEmulator(['devaccount']);
  await call('PUT', 'layers?restype=share');
});
afterAll(() => emulator.close());

async function call(method: string, target: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await sendRaw({ method, url: emulator.url, target: `/devaccount/${target}`, headers, signAs: { account: 'devaccount', key: TEST_KEY } });
  return `${answer.status} ${answer.code ?? ''}`.trim();
}

const create = (name: string): Promise<string> => call('PUT', name, { 'x-ms-type': 'file', 'x-ms-content-length': '1024', 'content-length': '0' });

describe('the README', () => {
  it('has an example that runs and prints what it says', async () => {
    const code = (/```js\n([\s\S]*?)```/.exec(README)?.[1] ?? '').replace('http://127.0.0.1:11004', emulator.url);
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
      cwd: ROOT, env: { ...process.env, FILE_SHARE_EMULATOR_ACCOUNTS: `devaccount:${TEST_KEY}` },
    });
    expect(README).toContain(`prints \`${stdout.trim()}\``);
  });

  it('names every flag and variable that the help names', () => {
    const flags = [...HELP.matchAll(/--[a-z-]+/g)].map(([flag]) => flag).filter((flag) => flag !== '--help');
    for (const flag of flags) {
      expect(README).toContain(`\`${flag} `);
      expect(README).toContain(`\`FILE_SHARE_EMULATOR_${flag === '--account' ? 'ACCOUNTS' : flag.slice(2).toUpperCase().replaceAll('-', '_')}\``);
    }
    expect(new Set(flags).size).toBe(7);
  });

  it('names every fault, and every call of the control interface', async () => {
    for (const kind of FAULT_KINDS) {
      expect(README).toContain(`{ kind: ${kind}`);
      expect(HELP).toContain(`{ kind: ${kind}`);
    }
    const controlled = await startTemporaryEmulator(['devaccount'], { controlPort: 0 });
    const { calls } = (await (await fetch(controlled.controlUrl!)).json()) as { calls: string[] };
    for (const one of calls) expect(README).toContain(`| \`${one}\` |`);
    await controlled.close();
  });

  it('says where files are, and that those of others are served', async () => {
    expect(await create('layers/a.vhd')).toBe('201');
    expect((await readFile(join(emulator.folder, 'devaccount', 'layers', 'a.vhd'))).length).toBe(1024);
    await writeFile(join(emulator.folder, 'devaccount', 'layers', 'foreign'), 'x');
    expect(await call('HEAD', 'layers/foreign')).toBe('200');
    expect(await readdir(emulator.folder)).toEqual(expect.arrayContaining(['.records', 'devaccount']));
  });

  it.each([
    ['an Entra ID token', 'GET', 'layers/a.vhd', { authorization: 'Bearer x' }],
    ['Shared Key Lite', 'GET', 'layers/a.vhd', { authorization: 'SharedKeyLite devaccount:x' }],
  ])('says that %s opens nothing', async (_title, method, target, headers) => {
    const answer = await sendRaw({ method, url: emulator.url, target: `/devaccount/${target}`, headers });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(404);
  });

  it.each([
    ['symbolic links', 'PUT', 'layers/link?restype=symboliclink', { 'x-ms-link-text': 'a.vhd' }],
    ['hard links', 'PUT', 'layers/link?restype=hardlink', { 'x-ms-file-target-file': '/a.vhd' }],
  ])('says that %s are refused', async (_title, method, target, headers) => {
    await call('PUT', 'layers/folder?restype=directory');
    expect(await call(method, target, headers)).toMatch(/^4\d\d \w+/);
  });

  it('says that names have bytes, and that the name of a deleted share is free at once', async () => {
    expect(await create(`layers/${encodeURIComponent('ü'.repeat(127))}`)).toBe('201');
    expect(await create(`layers/${encodeURIComponent('ü'.repeat(128))}`)).toMatch(/^400 /);
    await call('PUT', 'brief?restype=share');
    expect([await call('DELETE', 'brief?restype=share'), await call('PUT', 'brief?restype=share')]).toEqual(['202', '201']);
  });
});
