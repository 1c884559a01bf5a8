import { type AzureFilesCredential, identityTokens } from '#shares/azure-files';

import type { Settings } from './settings.js';

/** What a storage account is reached with, by its name. */
export type ShareCredentials = (account: string) => AzureFilesCredential;

/** The credentials of the configuration; all accounts share one identity, so that its tokens are fetched once. */
export async function shareCredentials({ config, secrets }: Pick<Settings, 'config' | 'secrets'>): Promise<ShareCredentials> {
  const kind = config.shares.kind === 'azure' ? config.shares.credential : 'key';
  switch (kind) {
    case 'key':
      return keyCredentials(secrets.shareKeys);
    case 'sas':
      return (account) => ({ kind, sas: secrets.shareSas[account] ?? '', readSas: secrets.shareReadSas[account] });
    case 'identity': {
      const tokens = await identityTokens();
      return () => tokens;
    }
  }
}

/** Keys in base64, by account. */
export function keyCredentials(keys: Readonly<Record<string, string>>): ShareCredentials {
  return (account) => ({ kind: 'key', key: keys[account] ?? '' });
}
