import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { Config } from '#config';
import { type FileShareEmulator, startFileShareEmulator } from '#file-share-emulator';

/** The emulator that stands for Azure Files in the embedded default, and the keys of its accounts. */
export interface EmbeddedShares {
  readonly emulator: FileShareEmulator;
  /** Account name → key in base64. */
  readonly keys: Readonly<Record<string, string>>;
}

/** The storage account that stands for a region: its name without hyphens, which account names cannot have. */
export function embeddedAccount(region: string): string {
  return region.replaceAll('-', '').slice(0, 24).padEnd(3, '0');
}

/** Starts the emulator over `folder/shares`, with an account for each region. Its keys are made once and kept in a file that only this user can read. */
export async function startEmbeddedShares(config: Config): Promise<EmbeddedShares> {
  const folder = resolve(config.folder, 'shares');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const accounts = config.regions.list.map(({ name }) => ({ name: embeddedAccount(name), region: name }));
  const keys = await accountKeys(resolve(config.folder, 'share-keys.json'), accounts.map((account) => account.name));
  const port = config.shares.kind === 'embedded' ? config.shares.port : 0;
  const emulator = await startFileShareEmulator({
    folder: join(folder),
    port,
    accounts: accounts.map((account) => ({ ...account, key: keys[account.name] ?? '' })),
  });
  return { emulator, keys };
}

async function accountKeys(path: string, accounts: readonly string[]): Promise<Record<string, string>> {
  const keys = await readKeys(path);
  const missing = accounts.filter((account) => keys[account] === undefined);
  if (missing.length === 0) return keys;
  for (const account of missing) keys[account] = randomBytes(64).toString('base64');
  await writeFile(path, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600 });
  await chmod(path, 0o600);
  return keys;
}

async function readKeys(path: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
