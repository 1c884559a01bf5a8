import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { AzureFilesError } from '../azure-error.js';

/** How much a share holds, by the logical sizes of its files, against what it may hold. */
export class ShareQuota {
  readonly #maxBytes: () => number;
  #usedBytes = 0;

  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  /** Logical bytes of all files. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Counts what is in a folder of the host. */
  async count(folder: string): Promise<void> {
    this.#usedBytes = await bytesIn(folder);
  }

  /** Takes room, or gives it back where `bytes` is negative. @returns what takes that back. @throws {AzureFilesError} `ShareSizeLimitReached` */
  reserve(bytes: number): () => void {
    if (bytes > 0 && this.#usedBytes + bytes > this.#maxBytes()) throw new AzureFilesError('ShareSizeLimitReached');
    this.#usedBytes += bytes;
    return () => { this.#usedBytes -= bytes; };
  }
}

async function bytesIn(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await bytesIn(path);
    else if (entry.isFile()) total += (await stat(path)).size;
  }
  return total;
}
