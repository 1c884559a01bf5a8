import type { Digest } from '#oci';
import type { RegionName } from '#regions';

/** What demand is counted by: one image of one repository, in one region. */
export interface DemandKey {
  readonly region: RegionName;
  readonly repository: string;
  /** The digest of the image's own manifest, never of an index. */
  readonly image: Digest;
}

/** The record of one pull in one region. */
export interface Observation extends DemandKey {
  /** When the pull was asked for, by the clock of whoever saw it. */
  readonly at: Date;
  /** Names the client without revealing it. The same client asking again soon is counted once; without a name every pull counts. */
  readonly clientHash?: string;
}
