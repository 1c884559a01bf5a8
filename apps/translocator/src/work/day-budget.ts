import type { TransferBudget } from '#placement';
import { GB } from '#quantities';
import type { RegionMap } from '#regions';
import type { LinkLedger, ReplicaStore } from '#replication';

import type { ShareSet } from '../foundation/share-set.js';

/** What may travel in a day, by the configuration. */
export interface DayLimits {
  /** Of each link. */
  readonly bytesPerLinkDay: number;
  /** Of all links together; absent without a bound. */
  readonly usdPerDay?: number | undefined;
  readonly pushReserveRatio: number;
}

/** What is left of a day's budgets at an instant: from the account of links, which workers keep, and from what is ordered and not copied yet. */
export async function dayBudget(
  { ledger, replicas, shares, regions }: { readonly ledger: LinkLedger; readonly replicas: ReplicaStore; readonly shares: ShareSet; readonly regions: RegionMap },
  { bytesPerLinkDay, usdPerDay, pushReserveRatio }: DayLimits,
  now: Date,
): Promise<TransferBudget> {
  const links = await ledger.usage(now.toISOString().slice(0, 10));
  const pending = (await replicas.usage()).filter(({ state }) => state === 'wanted' || state === 'copying');
  const away = [...shares.byName.values()].filter(({ region }) => region !== regions.home);
  const ofRegions = away.map(({ name, region }) => [
    region,
    {
      usdPerGb: regions.link(regions.home, region).pricePerGb,
      bytesPerDay: bytesPerLinkDay,
      carriedBytes: links.find(({ from, to }) => from === regions.home && to === region)?.bytes ?? 0,
      pendingBytes: pending.reduce((sum, { share, sizeBytes }) => (share === name ? sum + sizeBytes : sum), 0),
    },
  ] as const);
  return {
    regions: new Map(ofRegions),
    ...(usdPerDay === undefined ? {} : { usdPerDay }),
    spentUsd: links.reduce((sum, { from, to, bytes }) => sum + (bytes / GB) * regions.link(from, to).pricePerGb, 0),
    pushReserveRatio,
  };
}
