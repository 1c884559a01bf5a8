import type { Digest } from '#oci';

import type { BlobDraft } from './blob-vault.js';

/** A manifest as it was pushed. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** One repository of a {@link LocalRegistry}: what was pushed to it or mounted into it. */
export class StoredRepository {
  readonly blobs = new Set<Digest>();
  readonly manifests = new Map<Digest, StoredManifest>();
  readonly tags = new Map<string, Digest>();
  readonly uploads = new Map<string, BlobDraft>();

  /** The manifest that a tag or a digest names. */
  find(reference: string): StoredManifest | undefined {
    return this.manifests.get(this.tags.get(reference) ?? (reference as Digest));
  }

  /** Removes a tag, or a manifest with all its tags. @returns what went; undefined when there was nothing. */
  remove(reference: string): { readonly tag: string } | { readonly digest: Digest } | undefined {
    if (this.tags.delete(reference)) return { tag: reference };
    const digest = reference as Digest;
    if (!this.manifests.delete(digest)) return undefined;
    for (const [tag, pointsTo] of this.tags) if (pointsTo === digest) this.tags.delete(tag);
    return { digest };
  }
}

/** All repositories of a {@link LocalRegistry}. */
export class RegistryContents {
  readonly #repositories = new Map<string, StoredRepository>();

  get(name: string): StoredRepository | undefined {
    return this.#repositories.get(name);
  }

  getOrCreate(name: string): StoredRepository {
    const known = this.#repositories.get(name) ?? new StoredRepository();
    this.#repositories.set(name, known);
    return known;
  }
}
