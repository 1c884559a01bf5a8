import { createHash } from 'node:crypto';

import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Line } from './control/line.js';
import type { Exchange } from './exchange.js';
import { PIECE_BYTES_MAX, withMessageBuffer } from './piece-buffers.js';
import { decodeStructured, isStructured, STRUCTURED_OVERHEAD_BYTES_MAX } from './structured-body.js';
import { readXml, XML_BYTES_MAX, type XmlElement } from './xml-reader.js';

/**
 * Reads the content that a request brings (at most 4 MiB) and lends it to `use` with its MD5 in base64. The body's length must be announced, and what
 * arrives must be that long; a given Content-MD5, and the checksums of a structured body, must match.
 * @throws {AzureFilesError} `MissingContentLengthHeader`, `RequestBodyTooLarge`, `Md5Mismatch`, …
 */
export async function withBody<T>({ exchange, line }: { readonly exchange: Exchange; readonly line: Line }, use: (bytes: Buffer, md5: string) => Promise<T>): Promise<T> {
  const structured = isStructured(exchange);
  const length = announcedLength(exchange, PIECE_BYTES_MAX + (structured ? STRUCTURED_OVERHEAD_BYTES_MAX : 0));
  return withMessageBuffer(length, async (message) => {
    await fill(exchange, message, line.cutAfter(length));
    line.disturb(message);
    const md5 = checkMd5(exchange, message);
    if (!structured) return use(message, md5);
    const content = decodeStructured(message);
    const announced = exchange.requiredHeader('x-ms-structured-content-length');
    if (announced !== String(content.length)) throw invalidHeader('x-ms-structured-content-length', announced);
    if (content.length > PIECE_BYTES_MAX) throw new AzureFilesError('RequestBodyTooLarge', { elements: { MaxLimit: String(PIECE_BYTES_MAX) } });
    return use(content, createHash('md5').update(content).digest('base64'));
  });
}

/** Reads a body of text, at most `bytesMax` long. */
export async function readTextBody(exchange: Exchange, bytesMax: number): Promise<string> {
  const bytes = Buffer.alloc(announcedLength(exchange, bytesMax));
  await fill(exchange, bytes);
  checkMd5(exchange, bytes);
  return bytes.toString();
}

/** Reads a body of XML. @throws {AzureFilesError} `InvalidXmlDocument` */
export async function readXmlBody(exchange: Exchange): Promise<XmlElement> {
  return readXml(await readTextBody(exchange, XML_BYTES_MAX));
}

/** Refuses a body where the operation has none. */
export function refuseBody(exchange: Exchange): void {
  if (hasBody(exchange)) throw invalidHeader('Content-Length', exchange.header('content-length'));
}

/** True for a request that brings a body. */
export function hasBody(exchange: Exchange): boolean {
  const length = exchange.header('content-length');
  return (length !== undefined && length !== '0') || exchange.header('transfer-encoding') !== undefined;
}

async function fill(exchange: Exchange, bytes: Buffer, cutAfter?: number): Promise<void> {
  const { length } = bytes;
  let received = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    if (received + chunk.length > length) throw new AzureFilesError('RequestBodyTooLarge');
    received += chunk.copy(bytes, received);
    if (cutAfter !== undefined && received > cutAfter) exchange.cut();
  }
  if (received < length) throw new AzureFilesError('InvalidHeaderValue', { elements: { HeaderName: 'Content-Length', HeaderValue: String(length) } });
}

function announcedLength(exchange: Exchange, max: number): number {
  const text = exchange.header('content-length');
  if (text === undefined) throw new AzureFilesError('MissingContentLengthHeader');
  if (!/^\d{1,15}$/.test(text)) throw invalidHeader('Content-Length', text);
  if (Number(text) > max) throw new AzureFilesError('RequestBodyTooLarge', { elements: { MaxLimit: String(max) } });
  return Number(text);
}

function checkMd5(exchange: Exchange, bytes: Buffer): string {
  const actual = createHash('md5').update(bytes).digest('base64');
  const expected = exchange.header('content-md5');
  if (expected === undefined) return actual;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(expected)) throw new AzureFilesError('InvalidMd5');
  if (actual !== expected) throw new AzureFilesError('Md5Mismatch', { elements: { UserSpecifiedMd5: expected, ServerCalculatedMd5: actual } });
  return actual;
}
