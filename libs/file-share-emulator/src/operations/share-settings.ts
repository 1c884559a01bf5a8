import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { AnswerHeaders, Exchange } from '../exchange.js';
import type { EmulatedShare } from '../storage/share-catalogue.js';
import type { ShareSettings } from '../storage/share-record.js';
import { element } from '../xml.js';

/** The largest share of a provisioned v2 account: 256 TiB. */
const QUOTA_GIB_MAX = 262_144;
/** What a share holds when nothing else is asked for: 5 TiB, Azure's own default. */
const QUOTA_GIB_DEFAULT = 5120;
/** The provisioned v2 model on SSD: what one share, and one account, may be given. */
const PROVISIONED = { quotaGiB: [32, QUOTA_GIB_MAX], iops: [3000, 102_400], bandwidthMibps: [100, 10_340] } as const;
const ACCOUNT_MAX = { shares: 50, quotaGiB: 262_144, iops: 102_400, bandwidthMibps: 10_340 };
const TIERS = ['TransactionOptimized', 'Hot', 'Cool', 'Premium'];

/** The settings that a request gives; what is absent stays. */
export function settingsOf(exchange: Exchange): Partial<ShareSettings> {
  const settings = {
    quotaGiB: numberOf(exchange, 'x-ms-share-quota', QUOTA_GIB_MAX),
    iops: numberOf(exchange, 'x-ms-share-provisioned-iops', Number.MAX_SAFE_INTEGER),
    bandwidthMibps: numberOf(exchange, 'x-ms-share-provisioned-bandwidth-mibps', Number.MAX_SAFE_INTEGER),
    accessTier: oneOf(exchange, 'x-ms-access-tier', TIERS),
    protocols: oneOf(exchange, 'x-ms-enabled-protocols', ['SMB']),
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** The settings of a new share. */
export function newSettings(asked: Partial<ShareSettings>): ShareSettings {
  return { quotaGiB: QUOTA_GIB_DEFAULT, ...asked };
}

/** Checks a share that is provisioned one by one against what Azure allows for it and for its account. @throws {AzureFilesError} */
export function checkProvisioning(settings: ShareSettings, others: readonly EmulatedShare[]): void {
  if (settings.iops === undefined && settings.bandwidthMibps === undefined) return;
  const { quotaGiB, iops = PROVISIONED.iops[0], bandwidthMibps = PROVISIONED.bandwidthMibps[0] } = settings;
  if (!isWithin(quotaGiB, PROVISIONED.quotaGiB)) throw new AzureFilesError('FileShareProvisionedStorageInvalid');
  if (!isWithin(iops, PROVISIONED.iops)) throw new AzureFilesError('FileShareProvisionedIopsInvalid');
  if (!isWithin(bandwidthMibps, PROVISIONED.bandwidthMibps)) throw new AzureFilesError('FileShareProvisionedBandwidthInvalid');
  const total = (of: (one: ShareSettings) => number): number => others.reduce((sum, { record }) => sum + of(record), of(settings));
  if (others.length + 1 > ACCOUNT_MAX.shares) throw new AzureFilesError('TotalSharesCountExceedsAccountLimit');
  if (total((one) => one.quotaGiB) > ACCOUNT_MAX.quotaGiB) throw new AzureFilesError('TotalSharesProvisionedCapacityExceedsAccountLimit');
  if (total((one) => one.iops ?? 0) > ACCOUNT_MAX.iops) throw new AzureFilesError('TotalSharesProvisionedIopsExceedsAccountLimit');
  if (total((one) => one.bandwidthMibps ?? 0) > ACCOUNT_MAX.bandwidthMibps) throw new AzureFilesError('TotalSharesProvisionedBandwidthExceedsAccountLimit');
}

/** The settings of a share as headers of an answer. */
export function settingHeaders({ quotaGiB, iops, bandwidthMibps, accessTier, protocols }: ShareSettings): AnswerHeaders {
  const burstIops = iops === undefined ? undefined : Math.min(Math.max(3 * iops, 10_000), PROVISIONED.iops[1]);
  return {
    'x-ms-share-quota': quotaGiB,
    'x-ms-share-provisioned-iops': iops,
    'x-ms-share-provisioned-bandwidth-mibps': bandwidthMibps,
    'x-ms-share-included-burst-iops': burstIops,
    'x-ms-share-max-burst-credits-for-iops': burstIops === undefined ? undefined : (burstIops - iops!) * 3600,
    'x-ms-access-tier': accessTier,
    'x-ms-enabled-protocols': protocols ?? 'SMB',
  };
}

/** The settings of a share as elements of a listing. */
export function settingElements({ quotaGiB, iops, bandwidthMibps, accessTier, protocols }: ShareSettings): string {
  const elements = { Quota: quotaGiB, ProvisionedIops: iops, ProvisionedBandwidthMiBps: bandwidthMibps, AccessTier: accessTier, EnabledProtocols: protocols ?? 'SMB' };
  return Object.entries(elements).map(([name, value]) => element(name, value)).join('');
}

function isWithin(value: number, [least, most]: readonly [number, number]): boolean {
  return value >= least && value <= most;
}

function numberOf(exchange: Exchange, name: string, max: number): number | undefined {
  const text = exchange.header(name);
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw invalidHeader(name, text);
  return value;
}

function oneOf(exchange: Exchange, name: string, words: readonly string[]): string | undefined {
  const text = exchange.header(name);
  const word = words.find((candidate) => candidate.toLowerCase() === text?.toLowerCase());
  if (text !== undefined && word === undefined) throw invalidHeader(name, text);
  return word;
}
