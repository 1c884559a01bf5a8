import { ErofsWriter } from '../erofs-writer.js';
import { DEFAULT_EXPANSION_LIMITS } from '../expansion-limits.js';
import { ExpansionTarget } from '../expansion-target.js';
import { FileTree } from '../file-tree.js';
import type { FilesystemTree } from '../filesystem-tree.js';
import { LayerTar } from '../layer-tar.js';
import { PieceStream } from '../piece-stream.js';
import { TarReader } from '../tar-reader.js';

/** The tree that a tar becomes, with the addresses that its contents get; they are not kept. */
export function treeOfTar(tar: Buffer): FilesystemTree {
  const tree = new FileTree(DEFAULT_EXPANSION_LIMITS);
  const reader = new TarReader(new LayerTar(tree, new ErofsWriter(new PieceStream(new DiscardingTarget())), DEFAULT_EXPANSION_LIMITS.maxUncompressedBytes));
  reader.feed(tar);
  reader.end();
  return tree;
}

/** A target that keeps nothing. */
export class DiscardingTarget extends ExpansionTarget {
  readonly name = 'nowhere';

  write(): Promise<void> {
    return Promise.resolve();
  }

  setSize(): Promise<void> {
    return Promise.resolve();
  }

  async *readBack(): AsyncGenerator<Buffer> {}
}
