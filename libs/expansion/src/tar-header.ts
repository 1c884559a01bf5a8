import { ExpansionError, refuseEntry } from './expansion-error.js';

/** Bytes of a header, and the unit of everything in a tar. */
export const TAR_BLOCK_BYTES = 512;

/** The type flags that have a meaning here, by what they mean; `GNU` ones are headers of the entry behind them. */
export const TAR_TYPE = {
  regular: '0',
  regularV7: '\0',
  hardLink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
  contiguous: '7',
  paxEntry: 'x',
  paxGlobal: 'g',
  gnuLongName: 'L',
  gnuLongLink: 'K',
  gnuSparse: 'S',
} as const;

/** The fields of one header block as they stand there, before extension headers. Texts are one character per byte. */
export interface TarHeader {
  readonly typeFlag: string;
  readonly path: string;
  readonly linkPath: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/**
 * Reads a header block that is not all zeros: v7, ustar (POSIX.1-2017, pax, "ustar Interchange Format"), GNU and star.
 * Numbers are octal, or base-256 where the first bit is set (GNU tar manual, "Extensions").
 *
 * | offset | bytes | field    | | offset | bytes | field    |
 * |-------:|------:|----------|-|-------:|------:|----------|
 * |      0 |   100 | name     | |    156 |     1 | typeflag |
 * |    100 |     8 | mode     | |    157 |   100 | linkname |
 * |    108 |     8 | uid      | |    257 |     8 | magic, version |
 * |    116 |     8 | gid      | |    265 |    64 | uname, gname |
 * |    124 |    12 | size     | |    329 |     8 | devmajor |
 * |    136 |    12 | mtime    | |    337 |     8 | devminor |
 * |    148 |     8 | chksum   | |    345 |   155 | prefix (ustar), 131 of it in star |
 *
 * @throws {ExpansionError} `TAR_INVALID` for a wrong checksum or a field that is no number.
 */
export function readTarHeader(block: Buffer): TarHeader {
  const name = text(block, 0, 100);
  if (!hasChecksum(block)) throw refuseEntry('TAR_INVALID', name, 'has a header whose checksum is wrong');
  const number = (offset: number, length: number): number => {
    const value = readTarNumber(block, offset, length);
    if (value === undefined) throw refuseEntry('TAR_INVALID', name, `has a header with no number at byte ${offset}`);
    return value;
  };
  const magic = block.toString('latin1', 257, 263);
  const isUstar = magic === 'ustar\0';
  const isGnu = magic === 'ustar ';
  const prefix = isUstar ? text(block, 345, block.toString('latin1', 508, 512) === 'tar\0' ? 131 : 155) : isGnu ? mistakenPrefix(block) : '';
  return {
    typeFlag: block.toString('latin1', 156, 157),
    path: prefix === '' ? name : `${prefix}/${name}`,
    linkPath: text(block, 157, 100),
    mode: number(100, 8),
    uid: number(108, 8),
    gid: number(116, 8),
    sizeBytes: number(124, 12),
    mtimeSeconds: number(136, 12),
    deviceMajor: isUstar || isGnu ? number(329, 8) : 0,
    deviceMinor: isUstar || isGnu ? number(337, 8) : 0,
  };
}

/**
 * GNU headers have two times where ustar's have the prefix. Go wrote prefixes there before version 1.8, and old layers hold them: what is no number is taken for
 * one, as Go's own reader does.
 */
function mistakenPrefix(block: Buffer): string {
  const isTime = (offset: number): boolean => block[offset] === 0 || readTarNumber(block, offset, 12) !== undefined;
  if (isTime(345) && isTime(357)) return '';
  const prefix = text(block, 345, 155);
  return Buffer.from(prefix, 'latin1').every((byte) => byte < 0x80) ? prefix : '';
}

function text(block: Buffer, offset: number, length: number): string {
  const nul = block.subarray(offset, offset + length).indexOf(0);
  return block.toString('latin1', offset, offset + (nul < 0 ? length : nul));
}

/** The sum of all bytes, the checksum's own taken as spaces; some old writers summed signed bytes. */
function hasChecksum(block: Buffer): boolean {
  const stored = readTarNumber(block, 148, 8);
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let at = 0; at < TAR_BLOCK_BYTES; at += 1) {
    if (at === 148) at = 156;
    const byte = block[at]!;
    unsigned += byte;
    if (byte > 127) high += 1;
  }
  return stored === unsigned || stored === unsigned - high * 256;
}

/** A numeric field, octal or base-256; an empty one is 0. Undefined for anything that is no number or no safe integer. */
export function readTarNumber(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset]!;
  if (first & 0x80) {
    let value = BigInt(first & 0x40 ? (first & 0x7f) - 0x80 : first & 0x7f);
    for (let at = offset + 1; at < offset + length; at += 1) value = value * 256n + BigInt(block[at]!);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : undefined;
  }
  let at = offset;
  let end = offset + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at += 1;
  while (end > at && (block[end - 1] === 0x20 || block[end - 1] === 0)) end -= 1;
  let value = 0;
  for (; at < end; at += 1) {
    const digit = block[at]! - 0x30;
    // Some writers leave bytes behind the NUL that ends the digits.
    if (block[at] === 0) break;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  return value;
}

/** True for a stream's end mark: a block of zeros. */
export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.compare(ZERO_BLOCK) === 0;
}

const ZERO_BLOCK = Buffer.alloc(TAR_BLOCK_BYTES);

/** The refusal of a tar that ends too early or goes on wrongly outside any entry. */
export function refuseTar(why: string): ExpansionError {
  return new ExpansionError('TAR_INVALID', `the tar ${why}`);
}
