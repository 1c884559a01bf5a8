import type { Digest } from '#oci';
import type { Crc64, LayerFileFacts } from '#shares';

/** The part of an expanded layer's record that its copies are compared against, and that stands on their files. */
export interface LayerRecord extends Omit<LayerFileFacts, 'digest'> {
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  /** One entry per piece of the file: its CRC64, or null where the piece is all zeros. */
  readonly pieceCrc64s: readonly (Crc64 | null)[];
}

/** Who keeps the records of expanded layers. */
export abstract class LayerRecords {
  /** The record of a layer that is expanded; undefined for any other. */
  abstract find(layer: Digest): Promise<LayerRecord | undefined>;
}

/** Who knows what nodes have mounted. */
export abstract class ReplicaHolds {
  /** Until when some node's lease holds this replica; undefined when none does at `now`. */
  abstract heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined>;

  /** Has what holds it run out: no lease on this replica is renewed from now on. Repeating it changes nothing. @returns how many leases hold it now. */
  abstract endRenewals(layer: Digest, share: string, now: Date): Promise<number>;
}

/** Who knows which layers are parts of images. */
export abstract class LayerReferences {
  /** Those of `digests` that some image of an enabled repository refers to. */
  abstract referenced(digests: readonly Digest[]): Promise<Set<Digest>>;
}

/** A known layer, as far as its release is concerned. */
export interface ReleasableLayer {
  readonly digest: Digest;
  /** False while it is wanted or being expanded, and when it was refused: then it has no replicas to be missed. */
  readonly expanded: boolean;
  readonly unreferencedSince?: Date;
}

/** How long a layer has been without a reference, which who keeps the notes tells by one clock for all; `now` is by the caller's own. */
export interface ReferenceGrace {
  readonly now: Date;
  readonly graceMs: number;
}

/** Who keeps the list of layers that are to be there at all. */
export abstract class ReleasableLayers {
  /** Up to `limit` layers after `after`, by digest. */
  abstract page(after: Digest | undefined, limit: number): Promise<ReleasableLayer[]>;

  /** Notes that nothing refers to them as of `now`; an earlier note stands. */
  abstract markUnreferenced(digests: readonly Digest[], now: Date): Promise<void>;

  /** Takes that note back. */
  abstract clearUnreferenced(digests: readonly Digest[]): Promise<void>;

  /** Up to `limit` digests after `after`, ascending, unreferenced for the grace or longer. */
  abstract unreferencedFor(grace: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]>;

  /** Has an expanded layer expanded again. @returns false when it is not expanded. */
  abstract expandAgain(digest: Digest, now: Date): Promise<boolean>;

  /** Ends the record of a layer that is still noted as unreferenced and idle. @returns false when it is not so. */
  abstract forget(digest: Digest): Promise<boolean>;
}
