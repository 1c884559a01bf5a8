import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startFileShareEmulator } from '#file-share-emulator';

import { shareConformance, SUITE_CAPACITY_BYTES } from '../testing/share-conformance.js';
import { AzureFilesAccount } from './azure-files-account.js';
import { AzureFilesShare } from './azure-files-share.js';

const KEY = Buffer.alloc(64, 'k').toString('base64');

shareConformance('AzureFilesShare on the emulator', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shares-'));
  const emulator = await startFileShareEmulator({ folder, port: 0, accounts: [{ name: 'first', key: KEY }, { name: 'second', key: KEY }] });
  const open = (account: string, capacityBytes: number): AzureFilesShare =>
    new AzureFilesShare({
      name: account, region: 'westeurope', capacityBytes, shareName: 'layers',
      account: new AzureFilesAccount({ name: account, endpoint: `${emulator.url}/${account}`, credential: { kind: 'key', key: KEY } }),
    });
  return {
    share: open('first', SUITE_CAPACITY_BYTES),
    other: open('second', SUITE_CAPACITY_BYTES * 4),
    close: async () => {
      await emulator.close();
      await rm(folder, { recursive: true });
    },
  };
});
