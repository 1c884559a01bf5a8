import type { RegionName } from '#regions';

import type { AzureFilesAccount } from './azure-files-account.js';

/** What one Azure file share is reached with. */
export interface AzureFilesShareOptions {
  /** Unique among all shares of the service. */
  readonly name: string;
  readonly region: RegionName;
  /** The share's provisioned size; rounded up to whole GiB when the share is created. */
  readonly capacityBytes: number;
  readonly account: AzureFilesAccount;
  /** The share's name at the provider. */
  readonly shareName: string;
  /** What may be written to it, and read from it, by this process and by copies that this process orders; default: no bound but the provider's. */
  readonly bytesPerSecond?: { readonly in?: number | undefined; readonly out?: number | undefined } | undefined;
  /** The host folder that holds the share's files, for hosts that can read it: the embedded default. */
  readonly folder?: string | undefined;
  /** Host of the UNC name where it is not the endpoint's own, as for a Samba in front of an emulator. */
  readonly smbHost?: string | undefined;
}

/** Host names under which a share is reached by SMB as by HTTPS: `account.file.core.windows.net` and its sovereign sisters. */
const PROVIDER_HOST = /^[a-z0-9]{3,24}\.file\./;

/** The host of the share's UNC name, or undefined when it has none. */
export function smbHostOf({ account, smbHost }: AzureFilesShareOptions): string | undefined {
  const host = new URL(account.endpoint).hostname;
  return smbHost ?? (PROVIDER_HOST.test(host) ? host : undefined);
}
