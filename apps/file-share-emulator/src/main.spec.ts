import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sendRaw, sourceArguments, TEST_KEY } from '#file-share-emulator/testing';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emulator-app-'));
});
afterAll(() => rm(folder, { recursive: true }));

function run(...flags: string[]): ChildProcess {
  const program = fileURLToPath(new URL('./main.ts', import.meta.url));
  return spawn(process.execPath, [...sourceArguments(program), ...flags], { env: { FILE_SHARE_EMULATOR_ACCOUNTS: `one:${TEST_KEY},two:${TEST_KEY}` } });
}

async function end(child: ChildProcess): Promise<{ code: number | null; output: string; complaints: string }> {
  const [output, complaints] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')]);
  return { code: child.exitCode, output, complaints };
}

describe('the program', () => {
  it('prints the endpoint of every account, refuses a second of its kind, and stops when it is asked to', async () => {
    const child = run('--folder', folder, '--port', '0');
    const [first] = (await once(child.stdout!, 'data')) as [Buffer];
    const urls = first.toString().trim().split('\n');
    expect(urls.map((url) => new URL(url).pathname)).toEqual(['/one', '/two']);
    expect((await fetch(`${urls[0]}/layers?restype=share`)).status).toBe(400);
    const second = await end(run('--folder', folder, '--port', '0'));
    expect(second).toMatchObject({ code: 1, output: '' });
    expect(second.complaints).toContain('EMULATOR_FOLDER_LOCKED');
    child.kill('SIGTERM');
    expect(await end(child)).toMatchObject({ code: 0, complaints: '' });
  });

  it('serves what its file says: HTTPS, faults, and the control interface that ends them', async () => {
    const config = join(folder, 'emulator.yaml');
    const own = join(folder, 'of-its-own');
    await writeFile(config, `folder: ${own}\nport: 0\nhttps: { port: 0 }\ncontrolPort: 0\naccounts: [{ name: east, key: ${TEST_KEY}, region: eastus }]\nfaults: [{ kind: server-busy, operation: List Shares }]\n`);
    const child = spawn(process.execPath, [...sourceArguments(fileURLToPath(new URL('./main.ts', import.meta.url))), '--config', config], { env: {} });
    const [first] = (await once(child.stdout!, 'data')) as [Buffer];
    const [plain, secure, control] = first.toString().trim().split('\n');
    expect([plain, secure, control]).toEqual([expect.stringMatching(/^http:.*\/east$/), expect.stringMatching(/^https:.*\/east$/), expect.stringMatching(/^control: http:\/\/127\.0\.0\.1:\d+$/)]);
    const ca = await readFile(join(own, '.records', '.tls', 'certificate.pem'), 'utf8');
    const list = async (): Promise<number> => (await sendRaw({ method: 'GET', url: new URL(secure!).origin, target: '/east/?comp=list', signAs: { account: 'east', key: TEST_KEY }, ca })).status;
    expect(await list()).toBe(503);
    await fetch(`${control!.replace('control: ', '')}/disturbances`, { method: 'DELETE' });
    expect(await list()).toBe(200);
    child.kill('SIGTERM');
    expect(await end(child)).toMatchObject({ code: 0, complaints: '' });
  });

  it('tells what is wrong with its flags, and helps', async () => {
    expect(await end(run('--port', '70000'))).toMatchObject({ code: 2, complaints: expect.stringContaining('70000 is not a port') });
    expect(await end(run('--help'))).toMatchObject({ code: 0, output: expect.stringContaining('--folder') });
  });
});
