import { CodedError } from '#errors';

/**
 * Codes of everything an expansion may end in, besides the errors of the share and of the blob's own source, which pass through.
 *
 * Refusals, final for this layer (its image then answers blobs for it):
 * - `LAYER_UNSUPPORTED`: the tar says that its contents are for another operating system.
 * - `COMPRESSION_INVALID`: the blob is what its digest says and begins as gzip or zstd, but is no whole stream of it.
 * - `TAR_INVALID`: an entry that is malformed, lies about itself, or would reach out of the tree; `details.entry` names it.
 * - `ENTRY_UNSUPPORTED`: a well-formed entry that the writer does not carry (unknown types, attributes that do not fit); `details.entry` names it.
 * - `LINK_TARGET_MISSING`: a hard link to a file that this layer does not hold; `details.entry` names it.
 * - `TOO_LARGE`: a named limit was passed; `details.limit` names it, and `details.entry` the entry at which it was, unless it is the blob's own.
 * - `DIGEST_MISMATCH`: the bytes that came are not those of the digest.
 * - `OTHER_FILE`: the file that came out is not the one that was expected; nothing was published.
 *
 * Transient, worth another try:
 * - `BLOB_TRUNCATED`: the blob's stream ended before its size.
 * - `READ_BACK_MISMATCH`: what the share gave back is not what was written to it.
 * - `DIGEST_THREAD_FAILED`: a thread that computes digests ended, which takes all that it was doing with it.
 * - `CLAIM_LOST`: another worker has taken the layer over; nothing was published.
 * - `LAYER_FILE_INVALID`: the file of an expanded layer, on the home share, is not what its record says or not what the writer writes;
 *   `details.layer` names the layer, `details.field` what is wrong in it.
 */
export type ExpansionErrorCode =
  | 'LAYER_UNSUPPORTED'
  | 'COMPRESSION_INVALID'
  | 'TAR_INVALID'
  | 'ENTRY_UNSUPPORTED'
  | 'LINK_TARGET_MISSING'
  | 'TOO_LARGE'
  | 'DIGEST_MISMATCH'
  | 'OTHER_FILE'
  | 'BLOB_TRUNCATED'
  | 'READ_BACK_MISMATCH'
  | 'DIGEST_THREAD_FAILED'
  | 'CLAIM_LOST'
  | 'LAYER_FILE_INVALID';

/** A layer that did not become an expanded layer. `transient` is set by the code alone, as {@link ExpansionErrorCode} says. */
export class ExpansionError extends CodedError<ExpansionErrorCode> {}

/** The refusal of one tar entry. Its name is shown as text: bytes that are no UTF-8 are escaped, and it is cut at 200 characters. */
export function refuseEntry(code: 'TAR_INVALID' | 'ENTRY_UNSUPPORTED' | 'LINK_TARGET_MISSING', entry: string, why: string): ExpansionError {
  const shown = showName(entry);
  return new ExpansionError(code, `entry ${JSON.stringify(shown)} ${why}`, { details: { entry: shown } });
}

/** The refusal of a layer that passes a limit; `limit` is the limit's name, `entry` the tar entry at which it does, where there is one. */
export function refuseSize(limit: string, max: number, entry?: string): ExpansionError {
  const message = `the layer passes ${limit} = ${max}`;
  if (entry === undefined || entry === '') return new ExpansionError('TOO_LARGE', message, { details: { limit, max } });
  const shown = showName(entry);
  return new ExpansionError('TOO_LARGE', `${message} at entry ${JSON.stringify(shown)}`, { details: { limit, max, entry: shown } });
}

/** Names are kept as one character per byte; people read them as UTF-8 where they are UTF-8. */
function showName(name: string): string {
  const bytes = Buffer.from(name.slice(0, 200), 'latin1');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1').replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  }
}
