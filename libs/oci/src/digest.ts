import { createHash } from 'node:crypto';

import { OciError } from './oci-error.js';

/** `sha256:` and 64 lower-case hexadecimal digits: the identity of bytes (OCI image-spec, descriptor.md). Other algorithms are refused. */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** True when `text` is a well-formed sha256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/**
 * Reads a digest.
 * @throws {OciError} `DIGEST_INVALID` for anything but a sha256 digest in lower-case hexadecimal.
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new OciError('DIGEST_INVALID', `digest ${JSON.stringify(text.slice(0, 100))} is not sha256: followed by 64 lower-case hexadecimal digits`);
  }
  return text;
}

/** The 64 hexadecimal digits of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** The digest of whole bytes that are already in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
