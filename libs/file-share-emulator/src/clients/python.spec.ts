import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { startTemporaryEmulator, TEST_KEY } from '../testing/temporary-emulator.js';

const PYTHON = '/usr/bin/python3';

/** Needs Debian's python3-azure-storage. */
function isMissing(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import azure.storage.fileshare'], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
}

describe.skipIf(isMissing())('Microsoft\'s Python client', () => {
  it('makes the calls of the suite and gets what it should', async () => {
    const emulator = await startTemporaryEmulator(['acct1'], { deleteRetentionDays: 7 });
    const program = fileURLToPath(new URL('./python-client.py', import.meta.url));
    const { stdout } = await promisify(execFile)(PYTHON, ['-W', 'ignore', program, emulator.url, 'acct1', TEST_KEY]);
    const size = 256 * 20_000;
    expect(JSON.parse(stdout)).toEqual({
      share: [2, { of: 'share' }, ['python']],
      file: [size, { of: 'file' }, true, '0a0b0c0d0e'],
      listed: [['file', size]],
      ranges: [{ start: 512, end: 1535 }],
      diff: [[{ start: 512, end: 1535 }], [{ start: 0, end: 511 }]],
      old: 'hello',
      leased: ['LeaseIdMissing', 'leased'],
      sas: ['000102', 'AuthorizationPermissionMismatch'],
      copied: true,
      copy: ['success', `${size}/${size}`],
      permission: 'O:SYG:SYD:(A;;FA;;;SY)',
      handles: [0, { closed_handles_count: 0, failed_handles_count: 0 }],
      'share lease': ['LeaseIdMissing', 'leased'],
      'file lease': 'broken',
      service: [7, false],
      described: [3, 'Hot', { more: 'said' }],
      used: true,
      policies: [['reading', 'r']],
      'by policy': '0001',
      'by share': ['copied', 'file', 'ranged'],
      'by account': ['python'],
      headers: ['text/plain', 'no-cache', { other: 'words' }, 'ReadOnly', '2020-02-02T02:02:02', 'ReadOnlyAttribute'],
      resized: 4096,
      renamed: [4096, 'ResourceNotFound', 'mOVED'],
      'not replaced': 'ResourceAlreadyExists',
      folder: [{ of: 'folder' }, true, false],
      pages: [['Moved'], ['copied'], ['file']],
      detailed: true,
      'not empty': 'DirectoryNotEmpty',
      'nothing to abort': 'NoPendingCopyOperation',
      absent: ['ResourceNotFound', 'ParentNotFound', 'ShareNotFound'],
      'wrong key': 'AuthenticationFailed',
      deleted: 'ShareNotFound',
      undeleted: { more: 'said' },
    });
    await emulator.close();
  });
});
