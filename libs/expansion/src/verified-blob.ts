import { createHash } from 'node:crypto';

import { MiB } from '#quantities';

import type { LayerToExpand } from './expanded-layer.js';
import { ExpansionError, refuseSize } from './expansion-error.js';

/** Bytes handed on at once, at most: a source may give a whole blob in one. */
const CHUNK_BYTES = MiB;

/** A blob, and what is said of it. */
export interface BlobToVerify {
  readonly layer: LayerToExpand;
  readonly blob: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Bytes that are read at most. */
  readonly maxBytes: number;
  /** Called with the bytes read so far, on every chunk. */
  readonly onProgress?: ((compressedBytes: number) => void) | undefined;
}

/**
 * A layer's blob while it is read: counts and hashes what passes, and holds it against the digest. The source stays open when a
 * reader stops early, so that the rest can still be hashed: whether a layer's contents are to blame is only known
 * when its digest is.
 */
export class VerifiedBlob {
  readonly #layer: LayerToExpand;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal;
  readonly #maxBytes: number;
  readonly #onProgress: (compressedBytes: number) => void;
  readonly #hash = createHash('sha256');
  #bytesRead = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ layer, blob, signal, maxBytes, onProgress }: BlobToVerify) {
    this.#layer = layer;
    this.#source = blob[Symbol.asyncIterator]();
    this.#signal = signal;
    this.#maxBytes = maxBytes;
    this.#onProgress = onProgress ?? (() => {});
  }

  /** The blob's bytes. @throws {ExpansionError} `TOO_LARGE` once there are more than may be; what the source throws; the signal's reason. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) yield chunk.subarray(at, at + CHUNK_BYTES);
    }
  }

  /** Reads what is left, for its hash alone. */
  async drain(): Promise<void> {
    while ((await this.#next()) !== undefined);
  }

  /**
   * Holds what was read, to the end, against the digest.
   * @throws {ExpansionError} when it is not the same: `BLOB_TRUNCATED` when it is shorter than is said of it, otherwise `DIGEST_MISMATCH`.
   */
  verify(): void {
    const { digest, sizeBytes } = this.#layer;
    const actual = `sha256:${this.#hash.digest('hex')}`;
    if (actual === digest) return;
    if (this.#bytesRead < sizeBytes) {
      const details = { digest, sizeBytes, bytesRead: this.#bytesRead };
      throw new ExpansionError('BLOB_TRUNCATED', `the blob ended after ${this.#bytesRead} of ${sizeBytes} bytes`, { transient: true, details });
    }
    throw new ExpansionError('DIGEST_MISMATCH', `the blob is ${actual}, not ${digest}`, { details: { digest, actual } });
  }

  /** Tells the source that nothing more is read from it. */
  async close(): Promise<void> {
    const closing = this.#source.return?.();
    if (!this.#signal.aborted) await closing;
    // A source that is still waiting for its next bytes closes only after them: nobody waits for that once the work was called off.
    else closing?.catch(() => undefined);
  }

  /** One read at a time, also when the reader before was dropped while it waited. */
  #next(): Promise<Buffer | undefined> {
    const next = this.#last.then(() => this.#read());
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #read(): Promise<Buffer | undefined> {
    const result = await unlessAborted(this.#source.next(), this.#signal);
    if (result.done === true) return undefined;
    const chunk = Buffer.from(result.value.buffer, result.value.byteOffset, result.value.byteLength);
    this.#bytesRead += chunk.length;
    if (this.#bytesRead > this.#maxBytes) throw refuseSize('maxBlobBytes', this.#maxBytes);
    this.#hash.update(chunk);
    this.#onProgress(this.#bytesRead);
    return chunk;
  }
}

/** The promise's outcome, or the signal's reason as soon as it is aborted: a source may be waiting for a network that has gone. */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
