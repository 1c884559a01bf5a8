/** A region's name: lower-case letters, digits and hyphens, 1 to 64 characters, as clouds write them (`westeurope`, `us-east-1`). */
export type RegionName = string;

const REGION_NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

/** True when `text` can name a region. */
export function isRegionName(text: string): text is RegionName {
  return REGION_NAME.test(text);
}

/** A cloud region that holds a share, or from which pulls come. */
export interface Region {
  readonly name: RegionName;
  /** For people; the name where none was given. */
  readonly displayName: string;
}

/** What it takes to move bytes from one region to another. Links are directed: prices differ by direction. */
export interface RegionLink {
  readonly from: RegionName;
  readonly to: RegionName;
  /** Round trip in milliseconds, > 0. */
  readonly roundTripMs: number;
  /** Sustained bytes per second that copies may take, > 0. */
  readonly throughputBytesPerSecond: number;
  /** Price of one GB (10⁹ bytes) in US dollars, >= 0. */
  readonly pricePerGb: number;
}
