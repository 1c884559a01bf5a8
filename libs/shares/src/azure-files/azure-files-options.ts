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
  /** By what hosts mount it; default `smb`. A share at Azure speaks one of them. */
  readonly protocol?: 'smb' | 'nfs' | undefined;
  /** The export's name where it is not the provider's own, as for another server of the same files: `host:/path`. */
  readonly nfsExport?: string | undefined;
}

/** Host names under which a share is mounted as it is reached by HTTPS: `account.file.core.windows.net` and its sovereign sisters. */
const PROVIDER_HOST = /^[a-z0-9]{3,24}\.file\./;

/** Azure's own mount options: NFS 4.1, the only version, and several connections. */
const NFS_OPTIONS = ['ro', 'vers=4', 'minorversion=1', 'sec=sys', 'nconnect=4'];

/** How hosts mount a share: what the name of a file begins with, and the options; undefined when they cannot. */
export function hostMountOf(options: AzureFilesShareOptions): { readonly type: 'smb' | 'nfs'; readonly base: string; readonly options: readonly string[] } | undefined {
  const { account, shareName, protocol = 'smb', smbHost, nfsExport } = options;
  const { hostname } = new URL(account.endpoint);
  const providerHost = PROVIDER_HOST.test(hostname) ? hostname : undefined;
  if (protocol === 'nfs') {
    const base = nfsExport?.replace(/\/$/, '') ?? (providerHost === undefined ? undefined : `${providerHost}:/${account.name}/${shareName}`);
    return base === undefined ? undefined : { type: 'nfs', base, options: NFS_OPTIONS };
  }
  const host = smbHost ?? providerHost;
  return host === undefined ? undefined : { type: 'smb', base: `//${host}/${shareName}`, options: ['ro'] };
}
