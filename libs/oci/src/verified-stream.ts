import { createHash } from 'node:crypto';

import type { Digest } from './digest.js';
import { OciError } from './oci-error.js';

/** Which bytes are expected. */
export interface ExpectedBytes {
  readonly digest: Digest;
  /** Absent where only the digest is to be trusted: the end of the source is then its size. */
  readonly sizeBytes?: number;
}

/**
 * Passes `source` on and checks it on the way. What has come out is good only once the generator has ended: the digest is known at the end.
 * Never more than `sizeBytes` bytes come out, where that is given. Leaving early closes `source`.
 * @throws {OciError} `SIZE_MISMATCH` at the first byte too many, or at the end when some are missing; `DIGEST_MISMATCH` at the end.
 */
export async function* verifiedStream(source: AsyncIterable<Uint8Array>, expected: ExpectedBytes): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  let seenBytes = 0;
  for await (const chunk of source) {
    seenBytes += chunk.byteLength;
    if (expected.sizeBytes !== undefined && seenBytes > expected.sizeBytes) {
      throw new OciError('SIZE_MISMATCH', `${expected.digest} is longer than the announced ${expected.sizeBytes} bytes`, { details: { ...expected } });
    }
    hash.update(chunk);
    yield chunk;
  }
  if (expected.sizeBytes !== undefined && seenBytes !== expected.sizeBytes) {
    throw new OciError('SIZE_MISMATCH', `${expected.digest} ended after ${seenBytes} of ${expected.sizeBytes} bytes`, { details: { ...expected, seenBytes } });
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  if (digest !== expected.digest) {
    throw new OciError('DIGEST_MISMATCH', `${seenBytes} bytes announced as ${expected.digest} are ${digest}`, {
      details: { ...expected, found: digest },
    });
  }
}
