import { jitteredWaitMs, type RetryPolicy, type Clock } from '#clock';

import type { BlobDescriptor } from '../registry-reader.js';
import { RegistryError } from '../registry-error.js';
import { type Answer, type Ask, header, unavailable } from './send.js';

/** What {@link downloadBlob} needs besides the blob. */
export interface BlobDownload {
  readonly clock: Clock;
  /** Sends one request, tries again by its own policy, and throws unless the answer is 200 or 206. */
  readonly open: (headers: Readonly<Record<string, string>>) => Promise<{ readonly ask: Ask; readonly answer: Answer }>;
  readonly resumesMax: number;
  /** How long to wait before a download is taken up again. */
  readonly backoff: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+|\*)$/;

/**
 * A blob's bytes in order, each once, not verified. When the body is cut or stands still, the rest is asked for by `Range`
 * (RFC 9110 §14.2); where the registry ignores that, what is known already is skipped.
 * @throws {RegistryError} `REGISTRY_UNAVAILABLE` when it is cut more than `resumesMax` times; whatever `open` throws.
 */
export async function* downloadBlob(blob: BlobDescriptor, download: BlobDownload): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  let { sizeBytes } = blob;
  for (let cuts = 0; ; cuts += 1) {
    const { ask, answer } = await download.open(offset === 0 ? {} : { range: `bytes=${offset}-` });
    let cut: unknown;
    sizeBytes ??= announcedBytes(answer);
    let skip = bytesToSkip(answer, offset);
    // Left early, the body is destroyed by the loop itself.
    const chunks = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => ({ done: true, value: undefined, error }) as const);
        if ('error' in next) cut = next.error;
        if (next.done === true) break;
        const fresh = next.value.subarray(Math.min(skip, next.value.length));
        skip -= next.value.length - fresh.length;
        if (fresh.length === 0) continue;
        offset += fresh.length;
        yield fresh;
      }
    } finally {
      answer.body.destroy();
    }
    download.signal?.throwIfAborted();
    if (sizeBytes === undefined ? cut === undefined : offset >= sizeBytes) return;
    // A body that ends early without an error is a cut as well: a proxy may have closed it in good order.
    if (cuts >= download.resumesMax) throw unavailable(ask, cut ?? new Error(`the blob ended after ${offset} of ${sizeBytes ?? 'unknown'} bytes`));
    await download.clock.sleep(jitteredWaitMs(download.backoff, cuts + 1, Math.random()), download.signal);
  }
}

/** How long the whole blob is, as the answer to a request for all of it says; undefined when it does not say. */
function announcedBytes(answer: Answer): number | undefined {
  const length = answer.status === 200 ? header(answer, 'content-length') : undefined;
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

function bytesToSkip(answer: Answer, offset: number): number {
  if (answer.status !== 206) return offset;
  const start = CONTENT_RANGE.exec(header(answer, 'content-range') ?? '')?.[1];
  if (Number(start) === offset) return 0;
  answer.body.destroy();
  throw new RegistryError('REGISTRY_PROTOCOL', `the registry answered another range than the one from ${offset}`);
}
