import { type Digest, digestHex } from '#oci';
import { MiB } from '#quantities';
import { LAYER_FILE_VERSION, type Share } from '#shares';

import { type LayerFilesystem, openLayerFilesystem } from './erofs-reader.js';
import { BLOCK_BYTES, putSuperblock } from './erofs-structures.js';
import { ErofsWriter } from './erofs-writer.js';
import type { ExpandedLayer } from './expanded-layer.js';
import { refuseSize } from './expansion-error.js';
import { DEFAULT_EXPANSION_LIMITS, type ExpansionLimits, MAX_VIEW_LAYERS } from './expansion-limits.js';
import type { ExpansionTarget } from './expansion-target.js';
import type { FilesystemTree } from './filesystem-tree.js';
import { layerFileId } from './layer-file-id.js';
import { makeLayerFile, type WrittenContents } from './make-layer-file.js';
import { mergedViewDigest } from './merged-view-digest.js';
import { PieceStream } from './piece-stream.js';
import { TreeStack } from './stack-trees.js';

/** Layers whose superblocks are read at once. */
const MAX_LAYERS_OPENED_AT_ONCE = 8;
/** What most views do not pass. */
const LIKELY_BYTES = 4 * MiB;

/** One merged view to make, of what, and where. */
export interface ViewExpansion {
  /** `mergedViewDigest` of the layers. */
  readonly view: Digest;
  /** The image's layers, the lowest first, repeated ones as often as the image names them: at least two distinct ones. Their files, of `LAYER_FILE_VERSION`, are on the share. */
  readonly layers: readonly ExpandedLayer[];
  /** The home share: read from, and written to. */
  readonly share: Share;
  /** Of the claim under which it is done: two attempts never share one. */
  readonly claimId: string;
  /** Whether the claim is still held; asked before leftovers of others are removed, right before the file gets its final name, and after a failure. */
  readonly isHeld: () => Promise<boolean>;
  /** Aborting it ends the expansion with the signal's reason; the next attempt removes what this one left. */
  readonly signal: AbortSignal;
  /** Default {@link DEFAULT_EXPANSION_LIMITS}; entries and names are those of the view. */
  readonly limits?: ExpansionLimits;
}

/**
 * Makes the merged view of an image: a filesystem of names and attributes only, in a file of the same form as a layer's, that shows the image's layers
 * stacked and finds the contents of files in the layers' own files. They are its further devices, numbered from 1 in the order of `viewDevices`, and tagged
 * with their digests' hexadecimal digits; of each only the filesystem counts, not the hash tree and the footer behind it.
 *
 * All addresses are one space (the view's own blocks, then those of each device), so that files need no more than a first block, and the view can also be
 * mounted from one device that holds all of these in a row. Linux 5.16 and newer mounts it with a `device=` for every layer, in order.
 *
 * The same layers always give the same bytes: that is why all their files are of one version, the view's own. Only what describes files is read of them, each
 * held against its record. Memory: the trees of the view and of one layer, and a few pieces of one layer's file.
 *
 * @throws {ExpansionError} `LAYER_FILE_INVALID` when a layer's file is not what its record says; `TOO_LARGE` when the view passes a limit; `READ_BACK_MISMATCH`,
 * `CLAIM_LOST`. `ShareError` as it is. `TypeError` when `view` is not that of the layers, or a layer's file is of another version.
 */
export async function expandView(expansion: ViewExpansion): Promise<ExpandedLayer> {
  const { view, layers, limits = DEFAULT_EXPANSION_LIMITS } = expansion;
  const distinct = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  if (mergedViewDigest(layers.map((layer) => layer.digest)) !== view) throw new TypeError(`${view} is not the view of these layers`);
  const other = distinct.find((layer) => layer.writerVersion !== LAYER_FILE_VERSION);
  if (other !== undefined) throw new TypeError(`the file of ${other.digest} is of version ${other.writerVersion}`);
  if (distinct.length > MAX_VIEW_LAYERS) throw refuseSize('MAX_VIEW_LAYERS', MAX_VIEW_LAYERS);
  return makeLayerFile({ ...expansion, digest: view, likelyBytes: LIKELY_BYTES }, async (target) => {
    const filesystems = await openAll(distinct, expansion);
    return writeView(view, { ...await stackLayers(expansion, filesystems, limits), target });
  });
}

/** The filesystems of the distinct layers by digest, in the order of devices. */
async function openAll(distinct: readonly ExpandedLayer[], { share, signal }: ViewExpansion): Promise<Map<Digest, LayerFilesystem>> {
  const opened = new Map<Digest, LayerFilesystem>();
  for (let at = 0; at < distinct.length; at += MAX_LAYERS_OPENED_AT_ONCE) {
    const some = distinct.slice(at, at + MAX_LAYERS_OPENED_AT_ONCE);
    const filesystems = await Promise.all(some.map((layer) => openLayerFilesystem({ share, layer, signal })));
    for (const [index, filesystem] of filesystems.entries()) opened.set(some[index]!.digest, filesystem);
  }
  return opened;
}

interface StackedView {
  readonly tree: FilesystemTree;
  readonly filesystems: ReadonlyMap<Digest, LayerFilesystem>;
}

async function stackLayers({ layers }: ViewExpansion, filesystems: ReadonlyMap<Digest, LayerFilesystem>, limits: ExpansionLimits): Promise<StackedView> {
  const firstBlocks = new Map<Digest, number>();
  let next = 0;
  for (const [digest, { blockCount }] of filesystems) {
    firstBlocks.set(digest, next);
    next += blockCount;
  }
  const stack = new TreeStack(limits);
  // A layer that comes again further down shows nothing that it does not show above.
  for (const digest of new Set(layers.map((layer) => layer.digest).toReversed())) {
    const tree = await filesystems.get(digest)!.readTree(limits);
    await stack.addBelow({ tree, firstBlock: firstBlocks.get(digest)! });
  }
  return { tree: await stack.finish(), filesystems };
}

async function writeView(view: Digest, { tree, filesystems, target }: StackedView & { readonly target: ExpansionTarget }): Promise<WrittenContents> {
  const pieces = new PieceStream(target);
  try {
    const devices = [...filesystems].map(([digest, { blockCount }]) => ({ tag: digestHex(digest), blockCount }));
    const { superblock, entryCount } = await new ErofsWriter(pieces).finish(tree, devices);
    const filesystem = await pieces.finish((kept) => putSuperblock(kept.subarray(0, BLOCK_BYTES), { ...superblock, uuid: layerFileId('erofs', view) }));
    return { diffId: view, filesystem, entryCount };
  } finally {
    await pieces.settle();
  }
}
