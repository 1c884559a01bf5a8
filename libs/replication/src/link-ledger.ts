import type { RegionName } from '#regions';

/** A directed pair of regions. */
export interface LinkName {
  readonly from: RegionName;
  readonly to: RegionName;
}

/** Bytes that one link carried, or is about to, on one day. */
export interface LinkUsage extends LinkName {
  readonly bytes: number;
}

/** The account of bytes per link and day, shared by all workers. */
export abstract class LinkLedger {
  /**
   * Reserves up to `bytes` of a link's day, so that the day's sum never passes `limitBytes`; exact with any number of callers at once.
   * @param day in UTC, `2026-03-01`.
   * @returns how many bytes were reserved: from 0 to `bytes`.
   */
  abstract reserve(link: LinkName, day: string, bytes: number, limitBytes: number): Promise<number>;

  /** What was reserved on a day, by link; links without any are left out. */
  abstract usage(day: string): Promise<LinkUsage[]>;

  /**
   * Forgets up to `limit` links and days before `beforeDay` (UTC, `2026-03-01`), the oldest first. A day that may still be reserved must not be among them.
   * @returns how many were forgotten.
   */
  abstract prune(beforeDay: string, limit: number): Promise<number>;
}
