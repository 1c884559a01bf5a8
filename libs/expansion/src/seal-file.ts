import { createHash } from 'node:crypto';

import type { Digest } from '#oci';
import { type Crc64, crc64Of, PIECE_BYTES } from '#shares';

import { HASH_BLOCK_BYTES } from './block-digests.js';
import { BlockDigester } from './digest-threads.js';
import type { HashTree } from './expanded-layer.js';
import { ExpansionError } from './expansion-error.js';
import type { ExpansionTarget } from './expansion-target.js';
import { HashTreeBuilder, hashTreeSuperblock, shapeHashTree } from './hash-tree.js';
import { layerFileId } from './layer-file-id.js';
import { PieceStream, type WrittenPieces } from './piece-stream.js';
import { VHD_FOOTER_BYTES, vhdFooter } from './vhd-footer.js';

/** Pieces of the tree on the way at once: it grows by a 128th of what is read meanwhile. */
const MAX_TREE_PIECES_IN_FLIGHT = 2;
/** Pieces whose digests are not there yet when the next one is taken. */
const MAX_PIECES_AHEAD = 2;
const ZERO_PIECE = Buffer.alloc(PIECE_BYTES);

/** What is known of a file that is whole, and verified whole. */
export interface SealedFile {
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  readonly verity: HashTree;
  /** Per piece of the file, null where it is all zeros. */
  readonly pieceCrc64s: readonly (Crc64 | null)[];
  /** Bytes that were written, in all. */
  readonly dataBytes: number;
}

/**
 * The second pass over a file: reads the filesystem back from the target, holds every piece against what was sent, and puts a hash tree over it and the
 * footer of a VHD behind it, which are read back and verified in their turn. Memory does not depend on the file's size, but for a 16384th of it.
 *
 * `filesystem │ superblock of the tree │ levels, the topmost first │ level 0 │ footer`
 *
 * @param filesystem all of it, from the file's first byte; whole blocks.
 * @param contents what the ids in the file follow from: the diffID of a layer, the digest of a merged view.
 * @throws {ExpansionError} `READ_BACK_MISMATCH` when the target gives back other bytes than it got, and what the target throws.
 */
export async function sealFile(filesystem: WrittenPieces, contents: Digest, target: ExpansionTarget): Promise<SealedFile> {
  const hashOffset = filesystem.endOffset;
  const shape = shapeHashTree(hashOffset / HASH_BLOCK_BYTES);
  const diskBytes = hashOffset + shape.sizeBytes;
  const sizeBytes = diskBytes + VHD_FOOTER_BYTES;
  const level0At = hashOffset + shape.level0Offset;
  await target.setSize(sizeBytes);
  const end = new PieceStream(target, { offset: hashOffset, keptUpTo: level0At, maxPiecesInFlight: MAX_TREE_PIECES_IN_FLIGHT });
  try {
    end.appendZerosUpTo(level0At);
    const tree = new HashTreeBuilder(shape, (block) => end.append(block));
    const fileHash = createHash('sha256');
    // The end of the filesystem, in the piece that the tree begins in. Whole pieces are given away.
    let last: Buffer = Buffer.alloc(0);
    const take = (piece: Buffer): void => {
      fileHash.update(piece);
      if (piece.length < PIECE_BYTES) last = piece;
    };
    for await (const digests of digestsOf(readVerified(filesystem, target), take)) {
      tree.add(digests);
      await end.ready();
    }
    const { rootHash, upperLevels } = tree.finish();
    end.append(vhdFooter(diskBytes, layerFileId('vhd', contents)));
    // The tree begins in the middle of a piece, and everything above level 0 was not known before its end.
    const begun = hashOffset % PIECE_BYTES;
    const tail = await end.finish((kept) => {
      kept.set(last);
      kept.set(hashTreeSuperblock(shape, layerFileId('verity', contents)), begun);
      kept.set(upperLevels, begun + HASH_BLOCK_BYTES);
    });
    let skipped = begun;
    for await (const piece of readVerified(tail, target)) {
      fileHash.update(piece.subarray(skipped));
      skipped = 0;
    }
    return {
      vhd: { digest: `sha256:${fileHash.digest('hex')}`, sizeBytes },
      verity: { rootHash, hashOffset },
      pieceCrc64s: [...filesystem.crc64s.slice(0, Math.floor(hashOffset / PIECE_BYTES)), ...tail.crc64s],
      dataBytes: filesystem.dataBytes + tail.dataBytes,
    };
  } finally {
    await end.settle();
  }
}

/** The digests of the blocks of all pieces, in order. `take` has its turn with each piece before; while a thread computes the digests, the next one comes. */
async function* digestsOf(pieces: AsyncIterable<Buffer>, take: (piece: Buffer) => void): AsyncGenerator<Uint8Array> {
  const digester = new BlockDigester();
  const ahead: Promise<Uint8Array>[] = [];
  try {
    for await (const piece of pieces) {
      take(piece);
      const digests = digester.digests(piece);
      // A failure is met where it is awaited, unless another one ends it all before.
      digests.catch(() => undefined);
      ahead.push(digests);
      if (ahead.length > MAX_PIECES_AHEAD) yield await ahead.shift()!;
    }
    for (const digests of ahead) yield await digests;
  } finally {
    digester.close();
  }
}

/** The pieces that were written, as the target holds them; each is held against its CRC64 before it is given. */
async function* readVerified({ offset, endOffset, crc64s }: WrittenPieces, target: ExpansionTarget): AsyncGenerator<Buffer> {
  const firstPiece = Math.floor(offset / PIECE_BYTES);
  const from = firstPiece * PIECE_BYTES;
  let index = 0;
  for await (const piece of target.readBack({ offset: from, length: endOffset - from })) {
    if (!isSame(piece, crc64s[index]!)) {
      const details = { file: target.name, piece: firstPiece + index };
      throw new ExpansionError('READ_BACK_MISMATCH', `piece ${firstPiece + index} of ${target.name} is not what was written`, { transient: true, details });
    }
    yield piece;
    index += 1;
  }
}

function isSame(piece: Buffer, written: Crc64 | null): boolean {
  return written === null ? piece.equals(ZERO_PIECE.subarray(0, piece.length)) : crc64Of(piece) === written;
}
