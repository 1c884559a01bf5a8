import type { FileHandle } from 'node:fs/promises';

import { KiB, MiB } from '#quantities';
import type { ByteRange } from '#shares';

/** The unit in which zeros are looked for: the block size of the usual host file systems. */
const BLOCK_BYTES = 4 * KiB;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const ZEROS = Buffer.alloc(MiB);

/** Bytes for a place in a file, and the ranges there that may hold something else than zeros now. */
export interface SparseWrite {
  readonly offset: number;
  readonly bytes: Buffer;
  readonly written: readonly ByteRange[];
}

/** Writes bytes, leaving out whole blocks of zeros where the file is zero already: they stay holes. */
export async function writeSparse(host: FileHandle, write: SparseWrite): Promise<void> {
  for (const { offset, length } of partsToWrite(write)) {
    const start = offset - write.offset;
    await writeFully(host, write.bytes.subarray(start, start + length), offset);
  }
}

/** Writes zeros over each of `ranges`. */
export async function clearBytes(host: FileHandle, ranges: readonly ByteRange[]): Promise<void> {
  for (const range of ranges) {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end; at += ZEROS.length) await writeFully(host, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at);
  }
}

/** Fills `bytes` from `offset` on. */
export async function readBytes(host: FileHandle, offset: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await host.read(bytes, done, bytes.length - done, offset + done);
    // The file was cut by another program meanwhile: what is gone reads as zeros.
    if (bytesRead === 0) bytes.fill(0, done);
    done += bytesRead === 0 ? bytes.length : bytesRead;
  }
}

/** The parts of a write that must reach the host file, ascending; neighbouring blocks are joined. */
function partsToWrite({ offset, bytes, written }: SparseWrite): ByteRange[] {
  const parts: ByteRange[] = [];
  let open: { offset: number; length: number } | undefined;
  let next = 0;
  const end = offset + bytes.length;
  for (let at = offset; at < end;) {
    const stop = Math.min(end, (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES);
    while (next < written.length && written[next]!.offset + written[next]!.length <= at) next += 1;
    const mayHoldData = next < written.length && written[next]!.offset < stop;
    if (!mayHoldData && isZero(bytes.subarray(at - offset, stop - offset))) open = undefined;
    else if (open === undefined) parts.push((open = { offset: at, length: stop - at }));
    else open.length += stop - at;
    at = stop;
  }
  return parts;
}

function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_BYTES ? ZERO_BLOCK : ZERO_BLOCK.subarray(0, block.length));
}

async function writeFully(host: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await host.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
}
