import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { FileShareEmulatorOptions } from '../emulator-options.js';
import { type FileShareEmulator, startFileShareEmulator } from '../start-emulator.js';

/** The key of every account of {@link startTemporaryEmulator}; it protects nothing. */
export const TEST_KEY = Buffer.alloc(64, 'k').toString('base64');

/** An emulator on a folder of its own that goes with it. */
export interface TemporaryEmulator extends FileShareEmulator {
  readonly folder: string;
}

/** Starts an emulator on a free port and a temporary folder; `close` removes the folder, and fails when a client saw an `InternalError`. */
export async function startTemporaryEmulator(
  accounts: readonly string[] = ['acct1', 'acct2'],
  more: Omit<Partial<FileShareEmulatorOptions>, 'folder' | 'port'> = {},
): Promise<TemporaryEmulator> {
  const folder = await mkdtemp(join(tmpdir(), 'file-share-emulator-'));
  const defects: unknown[] = [];
  const options = { folder, port: 0, accounts: accounts.map((name) => ({ name, key: TEST_KEY })), ...more };
  const emulator = await startFileShareEmulator(options, (error) => void defects.push(error)).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const close = async (): Promise<void> => {
    await emulator.close();
    await rm(folder, { recursive: true, force: true });
    if (defects.length > 0) throw new AggregateError(defects, 'clients saw internal errors of the emulator');
  };
  return { ...emulator, folder, close };
}
