import { createHash } from 'node:crypto';

import { MiB } from '#quantities';

import type { LayerToExpand } from './expanded-layer.js';
import { ExpansionError } from './expansion-error.js';

/** Bytes handed on at once, at most: a source may give a whole blob in one. */
const CHUNK_BYTES = MiB;

/**
 * A layer's blob while it is read: counts and hashes what passes, and holds it against the descriptor. The source stays open when a
 * reader stops early, so that the rest can still be hashed: whether a layer's contents are to blame is only known
 * when its digest is.
 */
export class VerifiedBlob {
  readonly #layer: LayerToExpand;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #onProgress: (compressedBytes: number) => void;
  readonly #hash = createHash('sha256');
  #bytesRead = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(layer: LayerToExpand, blob: AsyncIterable<Uint8Array>, onProgress: (compressedBytes: number) => void) {
    this.#layer = layer;
    this.#source = blob[Symbol.asyncIterator]();
    this.#onProgress = onProgress;
  }

  /** The blob's bytes. @throws {ExpansionError} `DIGEST_MISMATCH` once there are more than the descriptor says; what the source throws. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) yield chunk.subarray(at, at + CHUNK_BYTES);
    }
  }

  /** Reads what is left, to its end or to the descriptor's size, for its hash alone. */
  async drain(signal: AbortSignal): Promise<void> {
    while ((await this.#next()) !== undefined) signal.throwIfAborted();
  }

  /**
   * Holds what was read, to the end, against the descriptor.
   * @throws {ExpansionError} `BLOB_TRUNCATED` when it is shorter, `DIGEST_MISMATCH` when it is as long and not the same.
   */
  verify(): void {
    const { digest, sizeBytes } = this.#layer;
    if (this.#bytesRead < sizeBytes) {
      const details = { digest, sizeBytes, bytesRead: this.#bytesRead };
      throw new ExpansionError('BLOB_TRUNCATED', `the blob ended after ${this.#bytesRead} of ${sizeBytes} bytes`, { transient: true, details });
    }
    const actual = `sha256:${this.#hash.digest('hex')}`;
    if (actual !== digest) throw new ExpansionError('DIGEST_MISMATCH', `the blob is ${actual}, not ${digest}`, { details: { digest, actual } });
  }

  /** Tells the source that nothing more is read from it. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** One read at a time, also when the reader before was dropped while it waited. */
  #next(): Promise<Buffer | undefined> {
    const next = this.#last.then(() => this.#read());
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #read(): Promise<Buffer | undefined> {
    const result = await this.#source.next();
    if (result.done === true) return undefined;
    const chunk = Buffer.from(result.value.buffer, result.value.byteOffset, result.value.byteLength);
    this.#bytesRead += chunk.length;
    const { digest, sizeBytes } = this.#layer;
    if (this.#bytesRead > sizeBytes) {
      throw new ExpansionError('DIGEST_MISMATCH', `the blob is longer than its ${sizeBytes} bytes`, { details: { digest, sizeBytes } });
    }
    this.#hash.update(chunk);
    this.#onProgress(this.#bytesRead);
    return chunk;
  }
}
