import { GiB } from '#quantities';

/** Wanted replicas of pinned images come before all others: `PIN_PRIORITY_BASE + 1000 × the pin's priority`, 900,000 to 1,100,000. */
export const PIN_PRIORITY_BASE = 1_000_000;
/** Others have 1000 for each doubling of worth for each GiB of the image, within this bound on both sides of 0. */
export const DEMAND_PRIORITY_MAX = 200_000;

/** The priority of an image's wants: a measure of the image alone, not its rank, so that a newcomer changes no one else's and the same demand gives the same orders. */
export function demandPriority(worth: number, imageBytes: number): number {
  const worthPerGiB = worth / (Math.max(1, imageBytes) / GiB);
  const doublings = worthPerGiB > 0 ? Math.round(1000 * Math.log2(worthPerGiB)) : -DEMAND_PRIORITY_MAX;
  return Math.max(-DEMAND_PRIORITY_MAX, Math.min(DEMAND_PRIORITY_MAX, doublings));
}

/** What an image of that priority is worth, to about a thousandth; see {@link demandPriority}. */
export function worthAtPriority(priority: number, imageBytes: number): number {
  return priority <= -DEMAND_PRIORITY_MAX ? 0 : 2 ** (priority / 1000) * (Math.max(1, imageBytes) / GiB);
}
