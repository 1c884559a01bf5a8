import type { Digest } from '#oci';

import { LayerTable } from './layer-record.js';
import type { MappedManifest } from './mapped-image.js';

/** What is known of one repository. */
export interface RepositoryEntry {
  /** Undefined while only its tags or images are known. */
  enabled: boolean | undefined;
  readonly tags: Map<string, Digest>;
  readonly images: Map<Digest, MappedManifest>;
}

/** What a map is made of. Only the map and a snapshot that is being read write in it; a snapshot that is being written copies it. */
export class MapTables {
  readonly repositories = new Map<string, RepositoryEntry>();
  readonly layers = new LayerTable();
  /** By their numbers, which are given in the order in which shares are first heard of, and for good. */
  readonly shareNames: string[] = [];
  readonly #shareNumbers = new Map<string, number>();

  /** The entry of a repository, made where there is none yet. */
  repository(name: string): RepositoryEntry {
    let entry = this.repositories.get(name);
    if (entry === undefined) {
      entry = { enabled: undefined, tags: new Map(), images: new Map() };
      this.repositories.set(name, entry);
    }
    return entry;
  }

  /** The number of a share; undefined for one that was never heard of. */
  shareNumber(share: string): number | undefined {
    return this.#shareNumbers.get(share);
  }

  /** The number of a share, which has one from now on. */
  addShare(share: string): number {
    let number = this.#shareNumbers.get(share);
    if (number === undefined) {
      number = this.shareNames.push(share) - 1;
      this.#shareNumbers.set(share, number);
    }
    return number;
  }
}
