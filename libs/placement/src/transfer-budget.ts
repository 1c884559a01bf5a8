import { GB } from '#quantities';
import type { RegionName } from '#regions';

/** What may still travel from home to one region today (UTC). */
export interface RegionTransfers {
  /** Of 10^9 bytes. */
  readonly usdPerGb: number;
  /** What the link may carry in a day; absent without a bound. */
  readonly bytesPerDay?: number;
  /** What it has carried today. */
  readonly carriedBytes: number;
  /** Replicas of the region that are wanted or being copied: taken to travel today, and whole. */
  readonly pendingBytes: number;
}

/** What may still travel today. All copies are taken to come from home, which has everything: from whom they do come is no dearer. */
export interface TransferBudget {
  /** By region; one that is not there has no bounds and costs nothing, as home. */
  readonly regions: ReadonlyMap<RegionName, RegionTransfers>;
  /** What all copies together may cost in a day; absent without a bound. */
  readonly usdPerDay?: number;
  /** What those of today have cost, whatever link they took. */
  readonly spentUsd: number;
  /** The share of every day's bytes and money that is kept for images that were just pushed; 0 to below 1. */
  readonly pushReserveRatio: number;
}

/** Limits of a day that may be taken to be otherwise; what is absent is as it is. */
export interface DayBudgetChanges {
  /** Of each link; above 0. */
  readonly bytesPerLinkDay?: number | undefined;
  /** Of all links together; >= 0. */
  readonly usdPerDay?: number | undefined;
  /** 0 to below 1. */
  readonly pushReserveRatio?: number | undefined;
}

/** The same day with other limits: what has travelled, and what is on its way, stays. */
export function withDayLimits(budget: TransferBudget, { bytesPerLinkDay, usdPerDay, pushReserveRatio }: DayBudgetChanges): TransferBudget {
  return {
    ...budget,
    ...(bytesPerLinkDay === undefined ? {} : { regions: new Map([...budget.regions].map(([region, transfers]) => [region, { ...transfers, bytesPerDay: bytesPerLinkDay }])) }),
    ...(usdPerDay === undefined ? {} : { usdPerDay }),
    ...(pushReserveRatio === undefined ? {} : { pushReserveRatio }),
  };
}

/** Why a want waits: the day's bytes of its link, or the day's money, do not suffice. */
export type WaitReason = 'BUDGET_LINK_DAY' | 'BUDGET_MONEY_DAY';

/** How much is left of a budget as copies are admitted. */
export class BudgetAccount {
  readonly #budget: TransferBudget;
  /** Bytes that are still to travel, by region; in the order of names, so that sums do not depend on the input's. */
  readonly #toCarry: Map<RegionName, number>;

  constructor(budget: TransferBudget) {
    this.#budget = budget;
    this.#toCarry = new Map([...budget.regions].map(([region, { pendingBytes }]) => [region, pendingBytes] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Counts bytes to a region; negative ones are given back. Those to a region without bounds do not count. */
  spend(region: RegionName, bytes: number): void {
    const toCarry = this.#toCarry.get(region);
    if (toCarry !== undefined) this.#toCarry.set(region, toCarry + bytes);
  }

  /** What a whole day's budget carries to a region, were nothing else to travel. */
  bytesOfDay(region: RegionName, isPushed: boolean): number {
    return Math.min(this.#linkDay(region, isPushed), this.#inBytes(region, this.#moneyDay(isPushed)));
  }

  /** Which budget does not suffice for some bytes more to a region, the link's first; undefined when both do. */
  lacking(region: RegionName, bytes: number, isPushed: boolean): { readonly reason: WaitReason; readonly missingBytes: number } | undefined {
    const overLink = this.#spentOf(region) + bytes - this.#linkDay(region, isPushed);
    if (overLink > 0) return { reason: 'BUDGET_LINK_DAY', missingBytes: Math.ceil(overLink) };
    const overMoney = bytes - this.#inBytes(region, this.#moneyDay(isPushed) - this.#spentUsd());
    return overMoney > 0 ? { reason: 'BUDGET_MONEY_DAY', missingBytes: Math.ceil(Math.min(bytes, overMoney)) } : undefined;
  }

  /** True when a link has nothing to carry today: then it may begin what takes it more than a day. */
  isIdle(region: RegionName): boolean {
    return this.#spentOf(region) <= 0;
  }

  /** What a link carries in a day at most. */
  linkDay(region: RegionName): number {
    return this.#linkDay(region, true);
  }

  #spentOf(region: RegionName): number {
    return (this.#budget.regions.get(region)?.carriedBytes ?? 0) + (this.#toCarry.get(region) ?? 0);
  }

  #spentUsd(): number {
    let usd = this.#budget.spentUsd;
    for (const [region, bytes] of this.#toCarry) usd += (bytes / GB) * this.#usdPerGb(region);
    return usd;
  }

  #linkDay(region: RegionName, isPushed: boolean): number {
    return (this.#budget.regions.get(region)?.bytesPerDay ?? Number.POSITIVE_INFINITY) * this.#share(isPushed);
  }

  #moneyDay(isPushed: boolean): number {
    return (this.#budget.usdPerDay ?? Number.POSITIVE_INFINITY) * this.#share(isPushed);
  }

  #share(isPushed: boolean): number {
    return isPushed ? 1 : 1 - this.#budget.pushReserveRatio;
  }

  /** Bytes that money carries to a region. */
  #inBytes(region: RegionName, usd: number): number {
    const usdPerGb = this.#usdPerGb(region);
    return usdPerGb === 0 || usd === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : (usd / usdPerGb) * GB;
  }

  #usdPerGb(region: RegionName): number {
    return this.#budget.regions.get(region)?.usdPerGb ?? 0;
  }
}
