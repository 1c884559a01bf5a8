import { ClaimSource, type WorkList } from '#claims';
import type { Digest } from '#oci';

import type { ExpandedLayer, LayerToExpand } from './expanded-layer.js';

/**
 * How far a layer's expansion is.
 *
 * ```
 *            claim                complete
 *  wanted ─────────► expanding ─────────────► expanded
 *   ▲ ▲  ▲               │  │ refuse               │
 *   │ │  └───────────────┘  └─────► refused ◄── want, with a media type that is not expanded
 *   │ │   release, postpone            │            │
 *   │ └────────────────────────────────┘            │
 *   │   want, with one that is, after a refusal     │
 *   │   that was not about the bytes                │
 *   └───────────────────────────────────────────────┘
 *                     expandAgain
 * ```
 */
export type ExpansionState = 'wanted' | 'expanding' | 'expanded' | 'refused';

/** Every {@link ExpansionState}, in the order of a layer's life. */
export const EXPANSION_STATES: readonly ExpansionState[] = ['wanted', 'expanding', 'expanded', 'refused'];

/** A layer to be expanded, and where to read it. */
export interface WantedLayer extends LayerToExpand {
  /** As the manifest claims; see {@link ExpandedLayerStore.want} for what it decides. */
  readonly mediaType: string;
  /** A repository through which the registry serves the blob; the newest that was named. */
  readonly repository: string;
  /** The larger, the sooner. */
  readonly priority: number;
  /**
   * Present exactly where this is the merged view of an image, and then the image's layers, the lowest first, repeated ones as often as the image names
   * them. Its media type is `MERGED_VIEW_MEDIA_TYPE`, its digest `mergedViewDigest` of these, its size 0: no blob stands behind it.
   */
  readonly stacks?: readonly Digest[];
}

/** Why a layer is not expanded: a code of `ExpansionErrorCode`, `MEDIA_TYPE_REFUSAL` or `VIEW_LAYER_REFUSAL`, and a sentence for operators. */
export interface LayerRefusal {
  readonly code: string;
  readonly message: string;
}

/** Everything that is kept of one layer. */
export interface LayerRecord extends WantedLayer {
  readonly state: ExpansionState;
  /** When it was first wanted, or wanted again after all its replicas were gone. */
  readonly wantedAt: Date;
  /** How far the running or last try came: bytes of the compressed layer that were read. */
  readonly readBytes: number;
  /** Present exactly in state `expanded`. */
  readonly expanded?: ExpandedLayer;
  readonly expandedAt?: Date;
  /** Present exactly in state `refused`. */
  readonly refusal?: LayerRefusal;
  /** Since when no image refers to it, by the store's clock; absent while one does, as far as the last look told. */
  readonly unreferencedSince?: Date;
  /** Tries since it was last wanted. */
  readonly attempts: number;
  /** Why the last try failed. */
  readonly lastError?: string;
}

/** How long layers have been without a reference, which is told by one clock for all, as for claims; `now` is by the caller's own. */
export interface ReferenceGrace {
  readonly now: Date;
  readonly graceMs: number;
}

/** How far a layer is, and what its file is mounted by: a part of its {@link LayerRecord}. */
export interface LayerStanding extends Pick<LayerRecord, 'digest' | 'state' | 'wantedAt' | 'readBytes' | 'stacks'> {
  /** Present exactly in state `expanded`. */
  readonly expanded?: Pick<ExpandedLayer, 'diffId' | 'writerVersion' | 'vhd' | 'verity'>;
  /** Present exactly in state `refused`. */
  readonly refusal?: Pick<LayerRefusal, 'code'>;
}

/** How far a layer is, and how large its file. */
export interface LayerSize extends Pick<LayerRecord, 'digest' | 'state'> {
  /** Of the `.vhd`; present exactly in state `expanded`. */
  readonly sizeBytes?: number;
}

/** Why an expansion is given to nobody: a merged view waits for the layers that it is made of. */
export const EXPANSION_BLOCKS = ['LAYERS_WANTED'] as const;

/**
 * The layers that images refer to, and what became of them: one row per digest, whichever images share it.
 *
 * What an image says of a layer besides its digest is a claim that must not harm the other images. So nothing of it is stored for good: size and media
 * type never decide how the bytes are read, the diffID of the record is computed from them, and an image that claims another one gets
 * blobs for itself alone (`DIFF_ID_MISMATCH` of a pull). A refusal that comes from the bytes holds for ever, because the digest names them; the one that
 * comes from a claim ends with the first better claim.
 *
 * The merged views of images are layers like the others here, made of the layers that they stack. While one of those is still to be expanded, no worker
 * is given the view; a view whose layers are not all good is refused for as long as that is so. A digest that an image names as a layer's and that is a
 * view's stays a view: the only bytes that have it are the text of its definition, which is no tar.
 *
 * A layer is wanted when an examined image names it; a worker claims it, expands it, and settles the claim with `complete`
 * or `refuse`; a transient failure gives it back. It stays expanded, whatever happens to its replicas, until nothing has
 * referred to it for the grace time: then `forget` ends its record. Settling methods return false, and change nothing,
 * when the claim was lost.
 */
export abstract class ExpandedLayerStore extends ClaimSource<WantedLayer> {
  /** All that is wanted or being expanded, for operators; subjects are layer, `isView` and repository, the key is the layer. What blocks it is one of {@link EXPANSION_BLOCKS}. */
  abstract readonly work: WorkList;

  /** All that was refused, by digest, as `work`. */
  abstract readonly refused: WorkList;

  /**
   * Wants layers expanded, in one transaction, and then views, in another. A layer that is known keeps its state: it only takes the newer repository and
   * the larger priority, and counts as referenced again. Idempotent; a digest may be named twice.
   *
   * A media type that is not expanded gives a layer that was not known the state `refused` with {@link MEDIA_TYPE_REFUSAL}, and changes nothing but
   * priority and references of one that was. A layer whose refusal was not about its bytes ({@link PASSING_REFUSALS}) is wanted as if it were new as soon
   * as an image names it with a media type that is expanded; its claims are then those. A refused view is wanted again when none of its layers is refused
   * or unknown.
   * @returns the digests that wait for a worker because of this call: those that were not known before, and those whose refusal has ended.
   */
  abstract want(layers: readonly WantedLayer[], now: Date): Promise<Set<Digest>>;

  /** Tells how many bytes of the compressed layer were read. Not told to the feed: call it as often as once a second. */
  abstract progress(claimId: string, readBytes: number): Promise<boolean>;

  /** Settles a claim: the layer is expanded, and on the home share. */
  abstract complete(claimId: string, expanded: ExpandedLayer, now: Date): Promise<boolean>;

  /** Settles a claim: the layer can never be expanded. */
  abstract refuse(claimId: string, refusal: LayerRefusal): Promise<boolean>;

  /** The records of those digests that are known, in no particular order. */
  abstract find(digests: readonly Digest[]): Promise<LayerRecord[]>;

  /** How far up to `limit` layers with digests after `after` (undefined: from the first) are, by digest: for full loads, which read nothing else of them. */
  abstract standingsAfter(after: Digest | undefined, limit: number): Promise<LayerStanding[]>;

  /** Which files up to `limit` layers with digests after `after` (undefined: from the first) have, by digest: for plans, which read nothing else of them. */
  abstract sizesAfter(after: Digest | undefined, limit: number): Promise<LayerSize[]>;

  /** Up to `limit` layers with digests after `after` that are referenced, or that nothing has referred to for less than the grace; by digest. */
  abstract referencedAfter(grace: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]>;

  /** Up to `limit` records with digests after `after` (undefined: from the first), by digest. */
  abstract page(after: Digest | undefined, limit: number): Promise<LayerRecord[]>;

  /**
   * expanded → wanted, for a layer of which no replica is left. Where its file was of an older version, the next one has other bytes: the views
   * that stack it are then wanted again as well, and who makes one of them has lost the claim. @returns false when it is not expanded.
   */
  abstract expandAgain(digest: Digest, now: Date): Promise<boolean>;

  /** Notes that nothing refers to these layers as of `now`; an earlier note stands. */
  abstract markUnreferenced(digests: readonly Digest[], now: Date): Promise<void>;

  /** Takes that note back. */
  abstract clearUnreferenced(digests: readonly Digest[]): Promise<void>;

  /** Up to `limit` digests after `after`, ascending, to which nothing has referred for the grace or longer. */
  abstract unreferencedFor(grace: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]>;

  /** Ends the record of a layer that is noted as unreferenced and that nobody is working on. @returns false when it is not so. */
  abstract forget(digest: Digest): Promise<boolean>;

  /** How many layers are in each state. */
  abstract countByState(): Promise<Readonly<Record<ExpansionState, number>>>;
}
