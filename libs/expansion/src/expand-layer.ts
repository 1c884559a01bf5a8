import type { Digest } from '#oci';
import type { Share } from '#shares';

import { StreamHash } from './digest-threads.js';
import { BLOCK_BYTES, putSuperblock } from './erofs-structures.js';
import { ErofsWriter } from './erofs-writer.js';
import { type ExpandedLayer, type LayerToExpand } from './expanded-layer.js';
import { ExpansionError, type ExpansionErrorCode, refuseSize } from './expansion-error.js';
import { DEFAULT_EXPANSION_LIMITS, type ExpansionLimits } from './expansion-limits.js';
import type { ExpansionTarget } from './expansion-target.js';
import { FileTree } from './file-tree.js';
import { decompress } from './layer-compression.js';
import { layerFileId } from './layer-file-id.js';
import { LayerTar } from './layer-tar.js';
import { makeLayerFile, type WrittenContents } from './make-layer-file.js';
import { PieceStream } from './piece-stream.js';
import { TarReader } from './tar-reader.js';
import { VerifiedBlob } from './verified-blob.js';

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
  /** Of the claim under which it is done: two attempts never share one. */
  readonly claimId: string;
  /** Whether the claim is still held; asked before leftovers of others are removed, right before the file gets its final name, and after a failure. */
  readonly isHeld: () => Promise<boolean>;
  /** Aborting it ends the expansion with the signal's reason; the next attempt removes what this one left. */
  readonly signal: AbortSignal;
  /** Called with the bytes of the blob that were read so far, on every chunk. */
  readonly onProgress?: (compressedBytes: number) => void;
  /** Default {@link DEFAULT_EXPANSION_LIMITS}. */
  readonly limits?: ExpansionLimits;
  /** The file that must come out, where the layer was expanded before; another one is `OTHER_FILE`, and does not get the final name. */
  readonly expectedVhd?: Digest | undefined;
}

/**
 * Expands one layer: reads its blob, and leaves an EROFS filesystem with its hash tree in a fixed VHD under `layerFilePath(layer.digest, LAYER_FILE_VERSION)` on the share, equal to
 * what extracting the tar gives, with whiteouts in overlayfs's form. The same layer always gives the same bytes.
 *
 * The blob's digest and what the share holds are verified before the file gets its final name, the tar's digest (diffID) is computed, and how the
 * blob is compressed is told by its bytes: the outcome depends on the layer's digest and on nothing that an image claims. Memory grows with the number
 * of entries, not with the layer's size. Repeating it, also beside the remains of an attempt that was cut short, gives the same result.
 *
 * @throws {ExpansionError} see `ExpansionErrorCode`; a refusal, and a lost claim, also remove the partial file. `ShareError` and errors of the blob pass
 * as they are.
 */
export async function expandLayer(expansion: LayerExpansion): Promise<ExpandedLayer> {
  const { layer } = expansion;
  return makeLayerFile({ ...expansion, digest: layer.digest, likelyBytes: layer.sizeBytes }, (target) => writeLayer(expansion, target));
}

/** The first pass: writes the layer's filesystem, the blob verified. */
async function writeLayer(expansion: LayerExpansion, target: ExpansionTarget): Promise<WrittenContents> {
  const { signal, limits = DEFAULT_EXPANSION_LIMITS } = expansion;
  const blob = new VerifiedBlob({ ...expansion, maxBytes: limits.maxBlobBytes });
  const pieces = new PieceStream(target);
  const tarHash = new StreamHash();
  try {
    const writer = new ErofsWriter(pieces);
    const tree = new FileTree(limits);
    const tar = new TarReader(new LayerTar(tree, writer, limits.maxUncompressedBytes));
    let tarBytes = 0;
    const take = async (bytes: Buffer, areOwn: boolean): Promise<void> => {
      tarBytes += bytes.length;
      if (tarBytes > limits.maxUncompressedBytes) throw refuseSize('maxUncompressedBytes', limits.maxUncompressedBytes, tar.entryPath);
      tar.feed(bytes);
      if (areOwn) tarHash.take(bytes);
      else tarHash.update(bytes);
      await pieces.ready();
      await tarHash.ready();
    };
    await decompress({ blob: blob.chunks(), take }, signal);
    tar.end();
    blob.verify();
    return await completeFilesystem(`sha256:${await tarHash.digest()}`, { writer, tree, pieces });
  } catch (error) {
    throw await judge(error, blob);
  } finally {
    tarHash.close();
    await pieces.settle();
    await blob.close();
  }
}

interface FilesystemUnderWay {
  readonly writer: ErofsWriter;
  readonly tree: FileTree;
  readonly pieces: PieceStream;
}

/** Writes everything behind the files' contents, then the first block. */
async function completeFilesystem(diffId: Digest, { writer, tree, pieces }: FilesystemUnderWay): Promise<WrittenContents> {
  const { superblock, entryCount } = await writer.finish(tree);
  const uuid = layerFileId('erofs', diffId);
  const filesystem = await pieces.finish((kept) => putSuperblock(kept.subarray(0, BLOCK_BYTES), { ...superblock, uuid }));
  return { diffId, filesystem, entryCount };
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
