import type { ShareFileClient } from '@azure/storage-file-share';

import type { ByteRange } from '../share.js';
import { ShareError, type ShareErrorCode } from '../share-error.js';
import type { FetchedPiece } from './read-pieces.js';

/**
 * One piece of a file on its way to us. A connection that is cut in the middle loses nothing: the next try asks for what is missing. The service takes no
 * `If-Match` for files, and the SDK never resumes, so every answer's ETag is compared with the first one's.
 */
export class PieceDownload {
  readonly #file: ShareFileClient;
  readonly #range: ByteRange;
  readonly #fail: (code: ShareErrorCode, why: string) => ShareError;
  readonly #bytes: Buffer;
  #receivedBytes = 0;
  #etag: string | undefined;

  constructor(file: ShareFileClient, range: ByteRange, fail: (code: ShareErrorCode, why: string) => ShareError) {
    this.#file = file;
    this.#range = range;
    this.#fail = fail;
    this.#bytes = Buffer.allocUnsafeSlow(range.length);
  }

  /**
   * One try: fetches what is missing. To be called again after a transient failure.
   * @throws {ShareError} `RANGE_INVALID`, `INTEGRITY_MISMATCH` when the file changed since the first try; what the SDK throws.
   */
  async goOn(signal: AbortSignal): Promise<FetchedPiece> {
    const missing = { offset: this.#range.offset + this.#receivedBytes, length: this.#range.length - this.#receivedBytes };
    if (missing.length > 0) await this.#fetch(missing, signal);
    return { bytes: this.#bytes, etag: this.#etag ?? '' };
  }

  async #fetch({ offset, length }: ByteRange, abortSignal: AbortSignal): Promise<void> {
    const answer = await this.#file.download(offset, length, { abortSignal, maxRetryRequests: 0 });
    const body = answer.readableStreamBody as (AsyncIterable<Buffer> & NodeJS.ReadableStream) | undefined;
    const refuse = (code: ShareErrorCode, why: string): never => {
      body?.on('error', () => undefined).resume();
      throw this.#fail(code, why);
    };
    if (body === undefined || answer.contentLength !== length) return refuse('RANGE_INVALID', `${offset}+${length} is not within the file`);
    if (answer.etag !== (this.#etag ??= answer.etag)) return refuse('INTEGRITY_MISMATCH', 'the file changed while it was read');
    for await (const chunk of body) this.#receivedBytes += chunk.copy(this.#bytes, this.#receivedBytes);
    if (this.#receivedBytes < this.#range.length) throw new ShareError('SHARE_UNAVAILABLE', 'the answer ended early', { transient: true });
  }
}
