import type { Clock } from '#clock';
import type { Config } from '#config';
import type { RegionName } from '#regions';
import type { Share } from '#shares';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import { type EmbeddedShares, embeddedAccount } from './embedded-shares.js';

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

/** The driver of every region's share: at the emulator where there is one, at the provider otherwise. */
export function openShares(config: Config, access: { readonly keys: Readonly<Record<string, string>> } & Partial<EmbeddedShares>, clock: Clock): ShareSet {
  const shares = config.regions.list.map(({ name, share }) => {
    const { emulator } = access;
    const account = emulator === undefined ? (share.account ?? '') : embeddedAccount(name);
    return new AzureFilesShare({
      name,
      region: name,
      capacityBytes: share.capacity,
      account: new AzureFilesAccount({
        name: account,
        endpoint: emulator === undefined ? (share.endpoint ?? `https://${account}.file.core.windows.net`) : `${emulator.url}/${account}`,
        credential: { kind: 'key', key: access.keys[account] ?? '' },
        clock,
      }),
      shareName: share.shareName,
      smbHost: share.smbHost,
      folder: emulator?.shareFolder(account, share.shareName),
    });
  });
  return new ShareSet(shares, config.regions.home);
}
