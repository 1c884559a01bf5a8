import type { MemoryWork } from '#claims/testing';
import type { Digest } from '#oci';

import type { Examination } from '../examination-store.js';
import type { ImageKey, RecordedImage } from '../image.js';
import type { BackfillProgress } from '../repository-store.js';

/** A repository in memory; its claim is its backfill's. */
export interface MemoryRepository extends MemoryWork {
  readonly name: string;
  enabled: boolean;
  changedAt: Date;
  backfill: BackfillProgress;
}

/** An examination in memory. */
export interface MemoryExamination extends MemoryWork {
  item: Examination;
  readonly wantedAt: Date;
  backfill: boolean;
}

/** The tables that the memory stores of this room share. */
export class MemoryCatalogue {
  readonly repositories = new Map<string, MemoryRepository>();
  /** By {@link imageId}. */
  readonly images = new Map<string, RecordedImage>();
  /** Repository → tag → digest. */
  readonly tags = new Map<string, Map<string, Digest>>();
  readonly receivedEvents = new Map<string, Date>();
  /** By {@link imageId} with a reference instead of the digest. */
  readonly examinations = new Map<string, MemoryExamination>();

  /** The tags of a repository. */
  tagsOf(repository: string): Map<string, Digest> {
    const known = this.tags.get(repository) ?? new Map<string, Digest>();
    this.tags.set(repository, known);
    return known;
  }

  /** The examination that a claim holds. */
  claimedExamination(claimId: string): MemoryExamination | undefined {
    return [...this.examinations.values()].find((each) => each.claim?.id === claimId);
  }
}

/** A row that nobody claimed or tried yet. */
export function unclaimed(): Required<MemoryWork> {
  return { claim: undefined, attempts: 0, notBefore: new Date(-8_640_000_000_000_000), lastError: undefined };
}

/** One text for a place in a repository; it sorts as the pair does. */
export function imageId(repository: string, reference: string): string {
  // A character below every one that names may have keeps the order of pairs.
  return `${repository}\u0000${reference}`;
}

/** Compares keys as the database does: by repository, then by digest. */
export function byKey(one: ImageKey, other: ImageKey): number {
  const [a, b] = [imageId(one.repository, one.digest), imageId(other.repository, other.digest)];
  return a < b ? -1 : a > b ? 1 : 0;
}
