import { createHash } from 'node:crypto';

import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Exchange } from './exchange.js';
import { PIECE_BYTES_MAX, withPieceBuffer } from './piece-buffers.js';

/**
 * Reads the body of a request whole and lends it to `use` with its MD5 in base64. The body's length must be announced, and what arrives must be that long; a given Content-MD5 must match.
 * @throws {AzureFilesError} `MissingContentLengthHeader`, `RequestBodyTooLarge`, `Md5Mismatch`, …
 */
export async function withBody<T>(exchange: Exchange, use: (bytes: Buffer, md5: string) => Promise<T>): Promise<T> {
  return withPieceBuffer(announcedLength(exchange), async (bytes) => use(bytes, await fill(exchange, bytes)));
}

async function fill(exchange: Exchange, bytes: Buffer): Promise<string> {
  const { length } = bytes;
  let received = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    if (received + chunk.length > length) throw new AzureFilesError('RequestBodyTooLarge');
    received += chunk.copy(bytes, received);
  }
  if (received < length) throw new AzureFilesError('InvalidHeaderValue', { elements: { HeaderName: 'Content-Length', HeaderValue: String(length) } });
  const md5 = createHash('md5').update(bytes).digest('base64');
  checkMd5(exchange, md5);
  return md5;
}

/** Refuses a body where the operation has none. */
export function refuseBody(exchange: Exchange): void {
  const length = exchange.header('content-length');
  if ((length !== undefined && length !== '0') || exchange.header('transfer-encoding') !== undefined) throw invalidHeader('Content-Length', length);
}

function announcedLength(exchange: Exchange): number {
  const text = exchange.header('content-length');
  if (text === undefined) throw new AzureFilesError('MissingContentLengthHeader');
  if (!/^\d{1,15}$/.test(text)) throw invalidHeader('Content-Length', text);
  if (Number(text) > PIECE_BYTES_MAX) throw new AzureFilesError('RequestBodyTooLarge', { elements: { MaxLimit: String(PIECE_BYTES_MAX) } });
  return Number(text);
}

function checkMd5(exchange: Exchange, actual: string): void {
  const expected = exchange.header('content-md5');
  if (expected === undefined) return;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(expected)) throw new AzureFilesError('InvalidMd5');
  if (actual !== expected) throw new AzureFilesError('Md5Mismatch', { elements: { UserSpecifiedMd5: expected, ServerCalculatedMd5: actual } });
}
