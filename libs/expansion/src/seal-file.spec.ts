import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { checkErofs, expandBytes, hasProgram, layerOf, saveExpanded, tarOf, temporaryFolder } from '#expansion/testing';
import type { Digest } from '#oci';
import { type ByteRange, crc64Of, PIECE_BYTES } from '#shares';
import { MemoryShare } from '#shares/testing';

import { BLOCK_BYTES } from './erofs-structures.js';
import type { ExpansionTarget } from './expansion-target.js';
import { shapeHashTree } from './hash-tree.js';
import { PieceStream, type WrittenPieces } from './piece-stream.js';
import { type SealedFile, sealFile } from './seal-file.js';
import { ShareExpansionTarget } from './share-expansion-target.js';

const run = promisify(execFile);
const CONTENTS: Digest = `sha256:${'5e'.repeat(32)}`;
const PIECE_BLOCKS = PIECE_BYTES / BLOCK_BYTES;

/** Blocks of random bytes, and of zeros. */
type Stretch = readonly ['data' | 'zeros', number];

interface Sealed {
  readonly sealed: SealedFile;
  readonly filesystem: WrittenPieces;
  readonly share: MemoryShare;
  readonly path: string;
}

const targetOn = (share: MemoryShare, signal = new AbortController().signal): ShareExpansionTarget =>
  new ShareExpansionTarget(share, { layer: CONTENTS, claimId: 'attempt', isHeld: () => Promise.resolve(true), signal });

async function write(stretches: readonly Stretch[], target: ExpansionTarget): Promise<WrittenPieces> {
  const pieces = new PieceStream(target);
  for (const [kind, blocks] of stretches) {
    if (kind === 'data') pieces.append(randomBytes(blocks * BLOCK_BYTES));
    else pieces.appendZerosUpTo(pieces.position + blocks * BLOCK_BYTES);
    await pieces.ready();
  }
  return pieces.finish(() => {});
}

/** Writes blocks as a filesystem would, and seals them. */
async function seal(stretches: readonly Stretch[], share = new MemoryShare({ name: 'home' })): Promise<Sealed> {
  const target = targetOn(share);
  await target.begin(0);
  const filesystem = await write(stretches, target);
  const sealed = await sealFile(filesystem, CONTENTS, target);
  return { sealed, filesystem, share, path: share.paths[0]! };
}

/** What `veritysetup verify` says: undefined when it accepts. */
async function verity(file: string, { verity: { rootHash, hashOffset } }: Pick<SealedFile, 'verity'>): Promise<string | undefined> {
  try {
    await run('veritysetup', ['verify', file, file, rootHash, `--hash-offset=${hashOffset}`]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function save({ sealed, share, path }: Sealed, file: string): Promise<void> {
  const local = await open(file, 'w');
  try {
    await local.truncate(sealed.vhd.sizeBytes);
    for (const { offset, length } of await share.dataRanges(path)) await local.write(await share.readRange(path, { offset, length }), 0, length, offset);
  } finally {
    await local.close();
  }
}

async function flip(file: FileHandle, at: number): Promise<void> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of(buffer[0]! ^ 1), 0, 1, at);
}

/** Trees of one, two and three levels, their borders, and trees that begin and end anywhere in a piece. */
const SHAPES: readonly [string, readonly Stretch[]][] = [
  ['a single block', [['data', 1]]],
  ...[2, 127, 128, 129, PIECE_BLOCKS - 2, PIECE_BLOCKS - 1, PIECE_BLOCKS, PIECE_BLOCKS + 1, 128 ** 2 - 1, 128 ** 2, 128 ** 2 + 1]
    .map((count): [string, readonly Stretch[]] => [`${count} blocks`, [['data', Math.min(count, 5)], ['zeros', Math.max(count - 7, 0)], ['data', Math.min(Math.max(count - 5, 0), 2)]]]),
  ['many pieces of data', [['data', 3 * PIECE_BLOCKS + 77]]],
  ['a tree of several pieces over holes', [['data', 1], ['zeros', 200_000], ['data', 1]]],
];

describe('sealFile', () => {
  it.each(SHAPES)('records the bytes that the share holds of %s', async (_, stretches) => {
    const { sealed, share, path } = await seal(stretches);
    const blocks = stretches.reduce((sum, [, count]) => sum + count, 0);
    const sizeBytes = blocks * BLOCK_BYTES + shapeHashTree(blocks).sizeBytes + 512;
    expect(sealed).toMatchObject({ vhd: { sizeBytes }, verity: { hashOffset: blocks * BLOCK_BYTES }, dataBytes: share.traffic.writtenBytes });
    const hash = createHash('sha256');
    const crc64s: (string | null)[] = [];
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const piece = await share.readRange(path, { offset, length: Math.min(PIECE_BYTES, sizeBytes - offset) });
      hash.update(piece);
      crc64s.push(piece.equals(Buffer.alloc(piece.length)) ? null : crc64Of(piece));
    }
    expect(sealed.vhd.digest).toBe(`sha256:${hash.digest('hex')}`);
    expect(sealed.pieceCrc64s).toEqual(crc64s);
    expect((await share.stat(path))?.sizeBytes).toBe(sizeBytes);
  });

  it('ends the file with the footer of a VHD whose disk is the filesystem and its tree', async () => {
    const { sealed, share, path } = await seal([['data', 300]]);
    const footer = await share.readRange(path, { offset: sealed.vhd.sizeBytes - 512, length: 512 });
    expect(footer.toString('latin1', 0, 8)).toBe('conectix');
    expect(footer.readBigUInt64BE(48)).toBe(BigInt(sealed.vhd.sizeBytes - 512));
  });

  it('writes every byte once, and fetches no holes', async () => {
    const { filesystem, sealed, share } = await seal([['data', 10], ['zeros', 9 * PIECE_BLOCKS], ['data', 10]]);
    const written = share.calls.flatMap((call) => (call.operation === 'writeRange' ? [call.range!] : [])).toSorted((a, b) => a.offset - b.offset);
    written.slice(1).forEach((range, index) => expect(range.offset).toBeGreaterThanOrEqual(written[index]!.offset + written[index]!.length));
    expect(filesystem.dataBytes).toBe(20 * BLOCK_BYTES);
    expect(share.traffic.readBytes).toBeLessThan(sealed.dataBytes + PIECE_BYTES);
  });

  it('holds no more of a file of 4 GiB than a few pieces at a time', async () => {
    const share = new MemoryShare({ name: 'home' });
    let reading = 0;
    let most = 0;
    share.before = async ({ operation }) => {
      if (operation !== 'readRange' && operation !== 'writeRange') return;
      reading += 1;
      most = Math.max(most, reading);
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
    };
    const before = process.memoryUsage().arrayBuffers;
    await seal([['data', 1], ['zeros', 2 ** 20 - 2], ['data', 1]], share);
    expect(most * PIECE_BYTES).toBeLessThanOrEqual(64 * 2 ** 20);
    // The share itself keeps 32 MiB of tree.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(160 * 2 ** 20);
  });
});

describe('sealFile, failing', () => {
  const stretches: readonly Stretch[] = [['data', 3 * PIECE_BLOCKS + 200]];
  const sizeBytes = (3 * PIECE_BLOCKS + 200) * BLOCK_BYTES;

  /** Flips a bit in what the share gives back, once. */
  class LyingShare extends MemoryShare {
    lieAt: number | undefined;

    override async readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer> {
      const bytes = await super.readRange(path, range, signal);
      if (this.lieAt !== undefined && this.lieAt >= range.offset && this.lieAt < range.offset + range.length) {
        bytes[this.lieAt - range.offset]! ^= 0x10;
        this.lieAt = undefined;
      }
      return bytes;
    }
  }

  it.each([
    ['the first byte', 0, 0],
    ['the middle of the filesystem', 6_000_000, 1],
    ['its last block', sizeBytes - 1, 3],
    ['the superblock of the tree', sizeBytes, 3],
    ['a level of the tree', sizeBytes + 3 * BLOCK_BYTES, 3],
    ['the footer', sizeBytes + shapeHashTree(sizeBytes / BLOCK_BYTES).sizeBytes + 511, 3],
  ])('notices that the share answers a wrong byte in %s', async (_, at, piece) => {
    const share = new LyingShare({ name: 'home' });
    const target = targetOn(share);
    await target.begin(0);
    const filesystem = await write(stretches, target);
    // Only the second reading of its piece shows what is behind the filesystem.
    if (at < sizeBytes) share.lieAt = at;
    else share.before = ({ operation, range }) => {
      if (operation === 'writeRange' && range!.offset >= sizeBytes) share.lieAt = at;
    };
    await expect(sealFile(filesystem, CONTENTS, target)).rejects.toMatchObject({ code: 'READ_BACK_MISMATCH', transient: true, details: { piece } });
  });

  it('publishes nothing when a byte of the tree does not come back as it was sent', async () => {
    const share = new LyingShare({ name: 'home' });
    const layer = layerOf(tarOf({ name: 'a', contents: randomBytes(5_000_000) }));
    share.before = ({ operation, range }) => {
      if (operation === 'writeRange' && range!.offset > 4_900_000 && range!.offset % PIECE_BYTES !== 0) share.lieAt = range!.offset + 4096;
    };
    await expect(expandBytes(layer, { share })).rejects.toMatchObject({ code: 'READ_BACK_MISMATCH' });
    expect(share.paths.filter((path) => !path.startsWith('.partial/'))).toEqual([]);
  });

  it('stops with the signal’s reason, also in a hole that is read without a call', async () => {
    const share = new MemoryShare({ name: 'home' });
    const controller = new AbortController();
    const target = targetOn(share, controller.signal);
    await target.begin(0);
    const filesystem = await write([['data', 1], ['zeros', 200 * PIECE_BLOCKS], ['data', 1]], target);
    share.before = ({ operation }) => {
      if (operation === 'dataRanges') setImmediate(() => controller.abort(new Error('the lease ran out')));
    };
    await expect(sealFile(filesystem, CONTENTS, target)).rejects.toThrow('the lease ran out');
  });

  it('waits for the writes that are on the way before it fails', async () => {
    const share = new MemoryShare({ name: 'home' });
    let writing = 0;
    const target = targetOn(share);
    await target.begin(0);
    const filesystem = await write([['data', 1], ['zeros', 400 * PIECE_BLOCKS], ['data', 1]], target);
    share.before = async ({ operation, range }) => {
      if (operation === 'readRange' && range!.offset > 0) throw new Error('the share is gone');
      if (operation !== 'writeRange') return;
      writing += 1;
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      writing -= 1;
    };
    await expect(sealFile(filesystem, CONTENTS, target)).rejects.toThrow('the share is gone');
    expect(writing).toBe(0);
  });
});

describe.skipIf(!hasProgram('veritysetup'))('a sealed file, in the eyes of veritysetup', () => {
  it.each(SHAPES)('is whole with %s, and is not once a bit of its data or of its tree is another', async (_, stretches) => {
    await using folder = await temporaryFolder();
    const made = await seal(stretches);
    const path = `${folder.path}/file.vhd`;
    await save(made, path);
    expect(await verity(path, made.sealed)).toBeUndefined();
    const { hashOffset } = made.sealed.verity;
    const treeEnd = made.sealed.vhd.sizeBytes - 512;
    // The first and the last block of the data; the uppermost block of the tree and a digest in the last, where there are any.
    const places = [0, hashOffset - 1, ...(treeEnd - hashOffset > BLOCK_BYTES ? [hashOffset + BLOCK_BYTES, treeEnd - BLOCK_BYTES] : [])];
    const file = await open(path, 'r+');
    try {
      for (const at of places) {
        await flip(file, at);
        expect(await verity(path, made.sealed)).toBeDefined();
        await flip(file, at);
      }
    } finally {
      await file.close();
    }
    expect(await verity(path, made.sealed)).toBeUndefined();
  });

  it('is what becomes of a layer, and fsck.erofs still calls it clean', async () => {
    await using folder = await temporaryFolder();
    const { expanded, share } = await expandBytes(layerOf(tarOf({ name: 'a', contents: randomBytes(5_000_000) }, { name: 'holes', contents: Buffer.alloc(9_000_000) }, { name: 'b/', type: '5' })));
    const path = `${folder.path}/layer.vhd`;
    await saveExpanded(share, expanded, path);
    expect(await verity(path, { verity: expanded.verity! })).toBeUndefined();
    if (hasProgram('fsck.erofs')) expect(await checkErofs(path)).toBe('');
  });
});
