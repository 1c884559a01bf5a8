import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { type Digest, digestHex } from '#oci';

/** Bytes that are arriving. */
export interface BlobDraft {
  readonly sizeBytes: number;
  append(chunk: Uint8Array): Promise<void>;
  /** Keeps the bytes if their digest is `expected`. @returns the digest that they have. */
  commit(expected: Digest): Promise<Digest>;
  discard(): Promise<void>;
}

/** Where a {@link LocalRegistry} keeps the bytes of its blobs, all repositories together. */
export interface BlobVault {
  begin(): Promise<BlobDraft>;
  sizeOf(digest: Digest): Promise<number | undefined>;
  /** The bytes from `start` up to, not including, `end`. */
  read(digest: Digest, start: number, end: number): AsyncIterable<Uint8Array>;
}

const MEMORY_CHUNK_BYTES = 64 * 1024;

/** Keeps blobs in memory: for specs. */
export class MemoryBlobVault implements BlobVault {
  readonly #blobs = new Map<Digest, Buffer>();

  async begin(): Promise<BlobDraft> {
    const chunks: Uint8Array[] = [];
    const blobs = this.#blobs;
    const draft = {
      sizeBytes: 0,
      append: async (chunk: Uint8Array): Promise<void> => {
        chunks.push(chunk);
        draft.sizeBytes += chunk.byteLength;
      },
      commit: async (expected: Digest): Promise<Digest> => {
        const bytes = Buffer.concat(chunks);
        const digest = finish(createHash('sha256').update(bytes));
        if (digest === expected) blobs.set(digest, bytes);
        return digest;
      },
      discard: async (): Promise<void> => undefined,
    };
    return draft;
  }

  async sizeOf(digest: Digest): Promise<number | undefined> {
    return this.#blobs.get(digest)?.length;
  }

  async *read(digest: Digest, start: number, end: number): AsyncGenerator<Uint8Array> {
    const bytes = this.#blobs.get(digest)?.subarray(start, end) ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += MEMORY_CHUNK_BYTES) yield bytes.subarray(at, at + MEMORY_CHUNK_BYTES);
  }
}

/** Keeps blobs as files named by their digests: for images of any size. */
export class FolderBlobVault implements BlobVault {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async begin(): Promise<BlobDraft> {
    await mkdir(this.#folder, { recursive: true });
    const path = join(this.#folder, `upload-${randomUUID()}`);
    return new FileDraft(path, await open(path, 'w'), (digest) => this.#path(digest));
  }

  async sizeOf(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async *read(digest: Digest, start: number, end: number): AsyncGenerator<Uint8Array> {
    if (end > start) yield* createReadStream(this.#path(digest), { start, end: end - 1 }) as AsyncIterable<Uint8Array>;
  }

  #path(digest: Digest): string {
    return join(this.#folder, digestHex(digest));
  }
}

class FileDraft implements BlobDraft {
  sizeBytes = 0;
  readonly #hash: Hash = createHash('sha256');
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #pathOf: (digest: Digest) => string;

  constructor(path: string, file: FileHandle, pathOf: (digest: Digest) => string) {
    this.#path = path;
    this.#file = file;
    this.#pathOf = pathOf;
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    await this.#file.writeFile(chunk);
    this.sizeBytes += chunk.byteLength;
  }

  async commit(expected: Digest): Promise<Digest> {
    await this.#file.close();
    const digest = finish(this.#hash);
    if (digest === expected) await rename(this.#path, this.#pathOf(digest));
    else await rm(this.#path, { force: true });
    return digest;
  }

  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}

function finish(hash: Hash): Digest {
  return `sha256:${hash.digest('hex')}`;
}
