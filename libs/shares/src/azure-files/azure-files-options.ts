import type { Clock } from '#clock';
import type { RegionName } from '#regions';

/** What one Azure file share is reached with. The key is a secret: nothing in this folder writes it anywhere. */
export interface AzureFilesShareOptions {
  /** Unique among all shares of the service. */
  readonly name: string;
  readonly region: RegionName;
  /** The share's provisioned size; rounded up to whole GiB when the share is created. */
  readonly capacityBytes: number;
  /** Storage account and its key (base64). */
  readonly account: string;
  readonly accountKey: string;
  /** The share's name at the provider. */
  readonly shareName: string;
  /** `https://{account}.file.core.windows.net`, or `http://127.0.0.1:11004/{account}` for an emulator. */
  readonly endpoint: string;
  /** The host folder that holds the share's files, for hosts that can read it: the embedded default. */
  readonly folder?: string | undefined;
  /** Host of the UNC name where it is not the endpoint's own, as for a Samba in front of an emulator. */
  readonly smbHost?: string | undefined;
  /** Default the machine's clock. */
  readonly clock?: Clock | undefined;
}

/** Host names under which a share is reached by SMB as by HTTPS: `account.file.core.windows.net` and its sovereign sisters. */
const PROVIDER_HOST = /^[a-z0-9]{3,24}\.file\./;

/** The host of the share's UNC name, or undefined when it has none. */
export function smbHostOf(options: AzureFilesShareOptions): string | undefined {
  const host = new URL(options.endpoint).hostname;
  return options.smbHost ?? (PROVIDER_HOST.test(host) ? host : undefined);
}
