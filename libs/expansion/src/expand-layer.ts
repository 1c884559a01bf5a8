import { createHash } from 'node:crypto';

import { type Digest, digestHex } from '#oci';
import type { Share } from '#shares';

import { BLOCK_BYTES, putSuperblock } from './erofs-structures.js';
import { ErofsWriter } from './erofs-writer.js';
import { EXPANSION_WRITER_VERSION, type ExpandedLayer, type LayerToExpand } from './expanded-layer.js';
import { ExpansionError, type ExpansionErrorCode, refuseSize } from './expansion-error.js';
import { DEFAULT_EXPANSION_LIMITS, type ExpansionLimits } from './expansion-limits.js';
import type { ExpansionTarget } from './expansion-target.js';
import { FileTree } from './file-tree.js';
import { compressionOf, decompress } from './layer-compression.js';
import { LayerTar } from './layer-tar.js';
import { PieceStream, type WrittenPieces } from './piece-stream.js';
import { ShareExpansionTarget } from './share-expansion-target.js';
import { TarReader } from './tar-reader.js';
import { VerifiedBlob } from './verified-blob.js';
import { vhdFooter } from './vhd-footer.js';

/** Refusals for what the blob holds. */
const ABOUT_CONTENTS: ReadonlySet<ExpansionErrorCode> = new Set<ExpansionErrorCode>([
  'COMPRESSION_INVALID', 'LAYER_UNSUPPORTED', 'TAR_INVALID', 'ENTRY_UNSUPPORTED', 'LINK_TARGET_MISSING', 'TOO_LARGE',
]);

/** One layer to expand, where it comes from and where it goes. */
export interface LayerExpansion {
  readonly layer: LayerToExpand;
  /** The layer's bytes as they are stored; read once, to their end. */
  readonly blob: AsyncIterable<Uint8Array>;
  readonly share: Share;
  /** Aborting it ends the expansion with the signal's reason; what stands under the partial name stays there for the next attempt. */
  readonly signal: AbortSignal;
  /** Called with the bytes of the blob that were read so far, on every chunk. */
  readonly onProgress?: (compressedBytes: number) => void;
  /** Default {@link DEFAULT_EXPANSION_LIMITS}. */
  readonly limits?: ExpansionLimits;
}

/** What was made of a layer, before anything is under its final name. */
export interface MadeLayer {
  readonly written: WrittenPieces;
  readonly entryCount: number;
}

/**
 * Expands one layer: reads its blob, and leaves an EROFS filesystem in a fixed VHD under `layerFilePath(layer.digest)` on the share, equal to
 * what extracting the tar gives, with whiteouts in overlayfs's form. The same layer always gives the same bytes.
 *
 * The blob's size and digest, the tar's digest (diffID) and what the share holds are all verified before the file gets its final
 * name. Memory grows with the number of entries, not with the layer's size. Repeating it, also over the remains of an attempt that was
 * cut short, gives the same result.
 *
 * @throws {ExpansionError} see `ExpansionErrorCode`; a refusal also removes the partial file. `ShareError` and errors of the blob pass as they are.
 */
export async function expandLayer(expansion: LayerExpansion): Promise<ExpandedLayer> {
  const { layer, share, signal } = expansion;
  compressionOf(layer.mediaType);
  const target = new ShareExpansionTarget(share, layer.digest, signal);
  await target.begin(layer.sizeBytes);
  try {
    const { written, entryCount } = await makeExpandedLayer(expansion, target);
    const vhd = { digest: await target.readBack(written), sizeBytes: written.sizeBytes };
    await target.publish(vhd.sizeBytes, {
      layer_digest: layer.digest,
      diff_id: layer.diffId,
      vhd_digest: vhd.digest,
      writer_version: String(EXPANSION_WRITER_VERSION),
    });
    return {
      digest: layer.digest,
      diffId: layer.diffId,
      writerVersion: EXPANSION_WRITER_VERSION,
      vhd,
      pieceCrc64s: written.crc64s,
      dataBytes: written.dataBytes,
      entryCount,
    };
  } catch (error) {
    if (error instanceof ExpansionError && !error.transient) await target.discard();
    throw error;
  }
}

/**
 * Makes the file of an expanded layer and gives it to a target, the blob and the tar verified. See {@link expandLayer} for what it throws.
 */
export async function makeExpandedLayer(expansion: Omit<LayerExpansion, 'share'>, target: ExpansionTarget): Promise<MadeLayer> {
  const { layer, signal, limits = DEFAULT_EXPANSION_LIMITS } = expansion;
  const compression = compressionOf(layer.mediaType);
  const blob = new VerifiedBlob(expansion);
  const pieces = new PieceStream(target);
  try {
    const writer = new ErofsWriter(pieces);
    const tree = new FileTree(limits);
    const tar = new TarReader(new LayerTar(tree, writer, limits.maxUncompressedBytes));
    const diffId = createHash('sha256');
    let tarBytes = 0;
    const take = async (bytes: Buffer): Promise<void> => {
      tarBytes += bytes.length;
      if (tarBytes > limits.maxUncompressedBytes) throw refuseSize('maxUncompressedBytes', limits.maxUncompressedBytes);
      diffId.update(bytes);
      tar.feed(bytes);
      await pieces.ready();
    };
    await decompress({ compression, blob: blob.chunks(), take }, signal);
    tar.end();
    blob.verify();
    verifyDiffId(layer.diffId, `sha256:${diffId.digest('hex')}`);
    return await completeFile(layer.diffId, { writer, tree, pieces });
  } catch (error) {
    throw await judge(error, blob);
  } finally {
    await pieces.settle();
    await blob.close();
  }
}

interface FileUnderWay {
  readonly writer: ErofsWriter;
  readonly tree: FileTree;
  readonly pieces: PieceStream;
}

/** Writes everything behind the files' contents, then the first block. */
async function completeFile(diffId: Digest, { writer, tree, pieces }: FileUnderWay): Promise<MadeLayer> {
  const { superblock, entryCount } = await writer.finish(tree);
  pieces.append(vhdFooter(superblock.blockCount * BLOCK_BYTES, idOf('vhd', diffId)));
  const written = await pieces.finish((firstBlock) => putSuperblock(firstBlock, { ...superblock, uuid: idOf('erofs', diffId) }));
  return { written, entryCount };
}

/**
 * Contents are refused only when they are the layer's own: bytes that changed on the way look like a malformed tar as well. So the
 * rest of the blob is read for its digest first; when that is wrong, this is what is thrown.
 */
async function judge(error: unknown, blob: VerifiedBlob): Promise<unknown> {
  if (!(error instanceof ExpansionError) || !ABOUT_CONTENTS.has(error.code)) return error;
  try {
    await blob.drain();
    blob.verify();
  } catch (blobError) {
    return blobError;
  }
  return error;
}

function verifyDiffId(diffId: Digest, actual: string): void {
  if (actual !== diffId) throw new ExpansionError('DIFF_ID_MISMATCH', `the layer's tar is ${actual}, not ${diffId}`, { details: { diffId, actual } });
}

/** 16 bytes that follow from the diffID, in the form of a UUID of version 8 (RFC 9562). */
function idOf(purpose: 'erofs' | 'vhd', diffId: Digest): Buffer {
  const id = createHash('sha256').update(`translocator ${purpose} ${EXPANSION_WRITER_VERSION} ${digestHex(diffId)}`).digest().subarray(0, 16);
  id[6] = (id[6]! & 0x0f) | 0x80;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}
