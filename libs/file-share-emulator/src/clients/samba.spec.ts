import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { ShareClient } from '@azure/storage-file-share';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { freePort } from '../../../../test/e2e/support/free-port.js';
import { sdkClient } from '../testing/sdk-clients.js';
import { startTemporaryEmulator, type TemporaryEmulator } from '../testing/temporary-emulator.js';

const SMBD = '/usr/sbin/smbd';
const SMBCLIENT = '/usr/bin/smbclient';
/** How long smbd may take to answer. */
const START_MAX_MS = 20_000;
/** Needs Debian's samba and smbclient, and root, as which alone smbd runs. */
const isMissing = !existsSync(SMBD) || !existsSync(SMBCLIENT) || process.getuid?.() !== 0;

describe.skipIf(isMissing)('the folder of a share, exported by Samba', () => {
  let emulator: TemporaryEmulator;
  let share: ShareClient;
  let home: string;
  let smbd: ChildProcess;
  let port: number;

  beforeAll(async () => {
    emulator = await startTemporaryEmulator(['acct1']);
    share = sdkClient(`${emulator.url}/acct1`).getShareClient('layers');
    await share.create({ quota: 1 });
    home = await mkdtemp(join(tmpdir(), 'emulator-samba-'));
    port = await freePort();
    const places = ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc'].map((name) => `${name === 'private' ? 'private dir' : name === 'pid' ? 'pid directory' : name === 'ncalrpc' ? 'ncalrpc dir' : `${name} directory`} = ${home}/${name}`);
    await Promise.all(['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc'].map((name) => mkdir(join(home, name))));
    await writeFile(join(home, 'smb.conf'), ['[global]', ...places, `smb ports = ${port}`, 'interfaces = 127.0.0.1', 'bind interfaces only = yes', 'map to guest = Bad User', `guest account = ${userInfo().username}`,
      'server min protocol = SMB3', 'load printers = no', 'disable spoolss = yes', '[layers]', `path = ${emulator.shareFolder('acct1', 'layers')}`, 'guest ok = yes', 'read only = no', ''].join('\n'));
    // It makes a session of its own: when it ends, it ends everybody in its process group.
    smbd = spawn(SMBD, ['--foreground', '--debug-stdout', `--configfile=${home}/smb.conf`], { stdio: 'ignore' });
    const deadline = Date.now() + START_MAX_MS;
    while (!(await smb('ls').then(() => true, () => false))) if (Date.now() > deadline) throw new Error('smbd does not answer');
  });
  afterAll(async () => {
    smbd?.kill('SIGTERM');
    if (smbd !== undefined && smbd.exitCode === null) await once(smbd, 'exit');
    await emulator?.close();
    if (home !== undefined) await rm(home, { recursive: true, force: true });
  });

  async function smb(command: string): Promise<string> {
    const { stdout } = await promisify(execFile)(SMBCLIENT, ['//127.0.0.1/layers', '-p', String(port), '-N', '-m', 'SMB3', '-s', join(home, 'smb.conf'), '-c', command]);
    return stdout;
  }

  it('shows SMB clients what REST clients wrote, and nothing else', async () => {
    await share.getDirectoryClient('folder').create();
    const file = share.getDirectoryClient('folder').getFileClient('Layer.vhd');
    await file.create(2 * 1024 * 1024, { metadata: { complete: '1' } });
    await file.uploadRange('written by REST', 1_000_000, 15);
    await share.createSnapshot();
    await smb(`get folder\\layer.VHD ${home}/got`);
    const got = await readFile(join(home, 'got'));
    expect(got.length).toBe(2 * 1024 * 1024);
    expect(got.subarray(1_000_000, 1_000_015).toString()).toBe('written by REST');
    const names = (await smb('ls')).split('\n').map((line) => line.trim().split(/\s+/)[0]).filter((name) => name !== undefined && name !== '' && name !== '.' && name !== '..' && !/^\d+$/.test(name));
    expect(names).toEqual(['folder']);
  });

  it('shows REST clients what SMB clients wrote, renamed and deleted', async () => {
    await writeFile(join(home, 'put'), 'written by SMB');
    await smb(`put ${home}/put folder\\from-smb`);
    const file = share.getDirectoryClient('folder').getFileClient('from-smb');
    expect((await file.downloadToBuffer()).toString()).toBe('written by SMB');
    expect((await file.getRangeList()).rangeList).toEqual([{ start: 0, end: 13 }]);
    await file.uploadRange('W', 0, 1);
    await smb('rename folder\\from-smb folder\\renamed');
    expect((await share.getDirectoryClient('folder').getFileClient('renamed').downloadToBuffer()).toString()).toBe('Written by SMB');
    expect(await file.exists()).toBe(false);
    await smb('rm folder\\renamed');
    expect(await share.getDirectoryClient('folder').getFileClient('renamed').exists()).toBe(false);
  });
});
