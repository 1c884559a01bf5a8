import { crc64Of, RunningCrc64 } from '#shares';

import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Exchange } from './exchange.js';
import { PIECE_BYTES_MAX } from './piece-buffers.js';

/*
 * A structured body (XSM/1.0) is a content in segments with checksums:
 *
 *   offset  size
 *   0       1     version: 1
 *   1       8     length of the whole message, little-endian like all that follows
 *   9       2     flags: 1 where checksums are there
 *   11      2     number of segments
 *   then, for every segment: 2 its number from 1, 8 its length, its bytes, 8 their CRC64
 *   at the end: 8 the CRC64 of all bytes of all segments
 */
const HEAD_BYTES = 13;
const SEGMENT_HEAD_BYTES = 10;
const CRC_BYTES = 8;
const VERSION = 1;
const FLAG_CRC64 = 1;
/** The number of a segment has 16 bits. */
const SEGMENTS_MAX = 65_535;
const STRUCTURED_BODY = /^XSM\/1\.0;\s*properties=crc64$/i;

/** The name of the only form there is, as answers carry it. */
export const STRUCTURED_BODY_NAME = 'XSM/1.0; properties=crc64';
/** What a structured body of a 4 MiB piece in four segments may be longer than the piece. */
export const STRUCTURED_OVERHEAD_BYTES_MAX = HEAD_BYTES + 4 * (SEGMENT_HEAD_BYTES + CRC_BYTES) + CRC_BYTES;

/** True for a request whose body, or whose answer's body, is to be structured. @throws {AzureFilesError} for a form that is not known. */
export function isStructured(exchange: Exchange): boolean {
  const text = exchange.header('x-ms-structured-body');
  if (text !== undefined && !STRUCTURED_BODY.test(text)) throw invalidHeader('x-ms-structured-body', text);
  return text !== undefined;
}

/** How long the structured body of `length` bytes is. */
export function structuredLength(length: number): number {
  const segments = Math.ceil(length / PIECE_BYTES_MAX);
  if (segments > SEGMENTS_MAX) throw new AzureFilesError('InvalidRange', { status: 400 });
  return HEAD_BYTES + segments * (SEGMENT_HEAD_BYTES + CRC_BYTES) + length + CRC_BYTES;
}

/** Writes a structured body around content that is sent piece by piece: each piece is a segment. */
export class StructuredWriter {
  readonly #all = new RunningCrc64();
  #number = 0;

  /** What comes first. @param length of the content */
  head(length: number): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt8(VERSION, 0);
    head.writeBigUInt64LE(BigInt(structuredLength(length)), 1);
    head.writeUInt16LE(FLAG_CRC64, 9);
    head.writeUInt16LE(Math.ceil(length / PIECE_BYTES_MAX), 11);
    return head;
  }

  /** What comes before and behind a piece; all but the last are 4 MiB long. */
  around(piece: Buffer): readonly [before: Buffer, behind: Buffer] {
    const before = Buffer.alloc(SEGMENT_HEAD_BYTES);
    this.#number += 1;
    before.writeUInt16LE(this.#number, 0);
    before.writeBigUInt64LE(BigInt(piece.length), 2);
    this.#all.update(piece);
    return [before, Buffer.from(crc64Of(piece), 'base64')];
  }

  /** What comes last. */
  tail(): Buffer {
    return Buffer.from(this.#all.digest(), 'base64');
  }
}

/**
 * Takes the content out of a structured body and checks every checksum. The content is moved to the front of `message`: the result is a part of it.
 * @throws {AzureFilesError} `InvalidInput` for a message that is not well-formed, `Crc64Mismatch`
 */
export function decodeStructured(message: Buffer): Buffer {
  if (message.length < HEAD_BYTES + CRC_BYTES || message.readUInt8(0) !== VERSION || message.readBigUInt64LE(1) !== BigInt(message.length)) throw malformed();
  if (message.readUInt16LE(9) !== FLAG_CRC64) throw malformed();
  const segments = message.readUInt16LE(11);
  let at = HEAD_BYTES;
  let length = 0;
  for (let number = 1; number <= segments; number += 1) {
    if (at + SEGMENT_HEAD_BYTES > message.length || message.readUInt16LE(at) !== number) throw malformed();
    const size = Number(message.readBigUInt64LE(at + 2));
    const start = at + SEGMENT_HEAD_BYTES;
    if (start + size + CRC_BYTES + CRC_BYTES > message.length) throw malformed();
    const segment = message.subarray(start, start + size);
    checkCrc64(segment, message.subarray(start + size, start + size + CRC_BYTES).toString('base64'));
    at = start + size + CRC_BYTES;
    message.copyWithin(length, start, start + size);
    length += size;
  }
  if (at + CRC_BYTES !== message.length) throw malformed();
  const content = message.subarray(0, length);
  checkCrc64(content, message.subarray(at).toString('base64'));
  return content;
}

/** @throws {AzureFilesError} `Crc64Mismatch` unless the bytes have this CRC64 (base64). */
export function checkCrc64(bytes: Buffer, expected: string): void {
  const actual = crc64Of(bytes);
  if (actual !== expected) throw new AzureFilesError('Crc64Mismatch', { elements: { UserSpecifiedCrc64: expected, ServerCalculatedCrc64: actual } });
}

function malformed(): AzureFilesError {
  return new AzureFilesError('InvalidInput', { message: 'The structured body is not well-formed.' });
}
