import type { Clock } from '#clock';
import type { Config } from '#config';
import type { FileShareEmulator } from '#file-share-emulator';
import type { RegionName } from '#regions';
import type { Share } from '#shares';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import { embeddedAccount } from './embedded-shares.js';
import type { ShareCredentials } from './share-credentials.js';

/** The shares of the deployment: one in each region, called like it. */
export class ShareSet {
  /** By name, in the order of the configuration. */
  readonly byName: ReadonlyMap<string, Share>;
  /** Where pushed layers are expanded. */
  readonly home: Share;

  constructor(shares: readonly Share[], home: RegionName) {
    this.byName = new Map(shares.map((share) => [share.name, share]));
    const found = shares.find((share) => share.region === home);
    if (found === undefined) throw new Error(`no share stands in the home region ${home}`);
    this.home = found;
  }

  /** The share of a region; undefined for a region that this deployment does not have. */
  inRegion(region: RegionName): Share | undefined {
    return this.byName.get(region);
  }
}

/** Where the shares are, and what opens them. */
export interface ShareAccess {
  readonly credentialOf: ShareCredentials;
  /** With the embedded default. */
  readonly emulator?: FileShareEmulator | undefined;
}

/** The driver of every region's share: at the emulator where there is one, at the provider otherwise. Shares of one account share its limits. */
export function openShares(config: Config, { credentialOf, emulator }: ShareAccess, clock: Clock): ShareSet {
  const accounts = new Map<string, AzureFilesAccount>();
  const accountAt = (name: string, endpoint: string): AzureFilesAccount => {
    const account = accounts.get(endpoint) ?? new AzureFilesAccount({ name, endpoint, credential: credentialOf(name), clock });
    accounts.set(endpoint, account);
    return account;
  };
  const shares = config.regions.list.map(({ name, share }) => {
    const account = emulator === undefined ? (share.account ?? '') : embeddedAccount(name);
    const endpoint = emulator === undefined ? (share.endpoint ?? `https://${account}.file.core.windows.net`) : `${emulator.url}/${account}`;
    return new AzureFilesShare({
      name,
      region: name,
      capacityBytes: share.capacity,
      account: accountAt(account, endpoint),
      shareName: share.shareName,
      bytesPerSecond: { in: share.throughputIn, out: share.throughputOut },
      smbHost: share.smbHost,
      protocol: share.protocol,
      nfsExport: share.nfsExport,
      folder: emulator?.shareFolder(account, share.shareName),
    });
  });
  return new ShareSet(shares, config.regions.home);
}
