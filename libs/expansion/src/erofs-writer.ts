import { alignUp } from '#quantities';

import { direntBlocks, ErofsLayout, type PlacedInode } from './erofs-layout.js';
import {
  BLOCK_BYTES, DEVICE_SLOT_BYTES, type ErofsDevice, FILE_TYPE, FILE_TYPE_MASK, INODE_BYTES, putDeviceSlot, putDirents, putInode, type Superblock,
} from './erofs-structures.js';
import { refuseSize } from './expansion-error.js';
import { MAX_VIEW_BYTES } from './expansion-limits.js';
import { type FilesystemTree, ROOT } from './filesystem-tree.js';
import type { PieceStream } from './piece-stream.js';
import { Turns } from './turns.js';

/** The largest inode with what stands behind it: 64 bytes and an inline attribute area of under 64 KiB. */
const MAX_PLACED_BYTES = INODE_BYTES + 65_536 + BLOCK_BYTES;

/** Blocks that 32 bits can address; the last number means "none". */
const MAX_BLOCKS = 2 ** 32 - 1;

/** A filesystem that lacks only its superblock. */
export interface WrittenFilesystem {
  readonly superblock: Omit<Superblock, 'uuid'>;
  readonly entryCount: number;
}

/**
 * Writes an EROFS filesystem front to back: one block for the superblock, contents of files as they come, then everything that the tree
 * says. Its parts, each starting at a block:
 *
 * `superblock │ file contents … │ shared attributes │ large directories │ inodes, small directories, link targets`
 *
 * Or it writes what describes files whose contents are on other devices:
 *
 * `superblock │ device table │ shared attributes │ large directories │ inodes, small directories, link targets`
 */
export class ErofsWriter {
  readonly #to: PieceStream;

  constructor(to: PieceStream) {
    this.#to = to;
    to.appendZerosUpTo(BLOCK_BYTES);
  }

  /** The block where contents that are appended now begin. */
  get nextBlock(): number {
    return this.#to.position / BLOCK_BYTES;
  }

  /** Appends a part of a file's contents. */
  append(bytes: Uint8Array): void {
    this.#to.append(bytes);
  }

  /** Appends a part of a file's contents that is zeros. Cheap, however long. */
  appendZeros(sizeBytes: number): void {
    this.#to.appendZerosUpTo(this.#to.position + sizeBytes);
  }

  /** Ends a file's contents: the next ones begin at a block. */
  endFile(): void {
    this.#to.appendZerosUpTo(alignUp(this.#to.position, BLOCK_BYTES));
  }

  /**
   * Writes all metadata behind the contents. Nothing is appended afterwards.
   * @param devices where the contents are, when none were appended: in the tree, the blocks of the first device begin at 0, those of the next one
   * right behind them.
   * @throws {ExpansionError} `TOO_LARGE`, before anything is written, when there are more blocks than can be addressed, or more bytes than a view may have.
   */
  async finish(tree: FilesystemTree, devices: readonly ErofsDevice[] = []): Promise<WrittenFilesystem> {
    const layout = await ErofsLayout.of(tree);
    const tableBlock = this.nextBlock;
    const xattrsAt = tableBlock + blocksOf(devices.length * DEVICE_SLOT_BYTES);
    const dataBlock = xattrsAt + blocksOf(layout.sharedXattrs.sizeBytes);
    const metaBlock = dataBlock + layout.blockCount;
    const blockCount = metaBlock + blocksOf(layout.areaBytes);
    if (devices.length > 0 && blockCount * BLOCK_BYTES > MAX_VIEW_BYTES) throw refuseSize('MAX_VIEW_BYTES', MAX_VIEW_BYTES);
    if (devices.reduce((sum, device) => sum + device.blockCount, blockCount) > MAX_BLOCKS) throw refuseSize('MAX_BLOCKS', MAX_BLOCKS);
    this.#appendDeviceTable(devices, blockCount);
    const metadata = new MetadataWriter(this.#to, tree, layout);
    await metadata.writeSharedXattrs();
    this.endFile();
    await metadata.writeBlocks();
    await metadata.writeInodes({ metadataFrom: dataBlock, contentsFrom: devices.length === 0 ? 0 : blockCount });
    this.endFile();
    const xattrBlock = layout.sharedXattrs.sizeBytes === 0 ? 0 : xattrsAt;
    const superblock = { rootNid: layout.nid(ROOT), inodeCount: layout.inodeCount, blockCount, metaBlock, xattrBlock };
    return {
      superblock: devices.length === 0 ? superblock : { ...superblock, devices: { count: devices.length, tableBlock } },
      entryCount: layout.entryCount,
    };
  }

  /** @param firstBlock the address of the first device's first block: right behind the filesystem's own blocks. */
  #appendDeviceTable(devices: readonly ErofsDevice[], firstBlock: number): void {
    const table = Buffer.alloc(blocksOf(devices.length * DEVICE_SLOT_BYTES) * BLOCK_BYTES);
    let next = firstBlock;
    for (const [index, device] of devices.entries()) {
      putDeviceSlot(table, index * DEVICE_SLOT_BYTES, { ...device, firstBlock: next });
      next += device.blockCount;
    }
    this.#to.append(table);
  }
}

/** Where the blocks begin that inodes refer to. */
interface Addresses {
  /** Those of {@link MetadataWriter.writeBlocks}. */
  readonly metadataFrom: number;
  /** What is added to the first block of a file that is not empty. */
  readonly contentsFrom: number;
}

/** Writes the areas of a layout. */
class MetadataWriter {
  readonly #scratch = Buffer.alloc(MAX_PLACED_BYTES);
  readonly #to: PieceStream;
  readonly #tree: FilesystemTree;
  readonly #layout: ErofsLayout;
  readonly #turns = new Turns();

  constructor(to: PieceStream, tree: FilesystemTree, layout: ErofsLayout) {
    this.#to = to;
    this.#tree = tree;
    this.#layout = layout;
  }

  /** The attributes that several inodes have. */
  async writeSharedXattrs(): Promise<void> {
    for (const entry of this.#layout.sharedXattrs.entries) {
      this.#to.append(entry);
      await this.#waitNowAndThen();
    }
  }

  /** The blocks of large directories and long link targets. */
  async writeBlocks(): Promise<void> {
    for (const inode of this.#layout.blockInodes()) {
      const target = this.#tree.target(inode);
      if (target !== undefined) {
        await this.#appendBlock((block) => block.write(target, 'latin1'));
        continue;
      }
      const names = this.#layout.names(inode);
      for (const { from, to } of direntBlocks(names)) await this.#appendBlock((block) => this.#putNames(block, inode, names.slice(from, to)));
    }
  }

  /** The inodes. */
  async writeInodes(addresses: Addresses): Promise<void> {
    const start = this.#to.position;
    let ino = 0;
    for (const placed of this.#layout.placed()) {
      this.#to.appendZerosUpTo(start + placed.offset);
      ino += 1;
      this.#to.append(this.#encode(placed, ino, addresses));
      await this.#waitNowAndThen();
    }
  }

  #encode({ inode, inlineBytes }: PlacedInode, ino: number, { metadataFrom, contentsFrom }: Addresses): Buffer {
    const attributes = this.#tree.inodes.read(inode);
    const xattrs = this.#layout.xattrs(inode);
    const dataAt = INODE_BYTES + xattrs.inlineBytes;
    const bytes = this.#scratch.subarray(0, dataAt + inlineBytes).fill(0);
    const firstBlock = this.#layout.firstBlock(inode);
    const type = attributes.mode & FILE_TYPE_MASK;
    putInode(bytes, 0, {
      ...attributes,
      inline: inlineBytes > 0,
      xattrBytes: xattrs.inlineBytes,
      sizeBytes: type === FILE_TYPE.directory ? this.#layout.metadataBytes(inode) : attributes.sizeBytes,
      blockOrDevice: firstBlock !== undefined ? metadataFrom + firstBlock
        : type === FILE_TYPE.regular && attributes.sizeBytes > 0 ? contentsFrom + attributes.blockOrDevice : attributes.blockOrDevice,
      ino,
      linkCount: this.#layout.linkCount(inode),
    });
    this.#layout.sharedXattrs.putInline(bytes, INODE_BYTES, xattrs);
    if (inlineBytes > 0) {
      const target = this.#tree.target(inode);
      if (target === undefined) this.#putNames(bytes.subarray(dataAt), inode, this.#layout.names(inode));
      else bytes.write(target, dataAt, 'latin1');
    }
    return bytes;
  }

  #putNames(to: Buffer, directory: number, names: readonly string[]): void {
    const dirents = names.map((name) => {
      const child = this.#layout.child(directory, name);
      return { name, nid: this.#layout.nid(child), mode: this.#tree.inodes.mode(child) };
    });
    putDirents(to, dirents);
  }

  async #appendBlock(put: (block: Buffer) => void): Promise<void> {
    const block = this.#scratch.subarray(0, BLOCK_BYTES).fill(0);
    put(block);
    this.#to.append(block);
    await this.#waitNowAndThen();
  }

  async #waitNowAndThen(): Promise<void> {
    if (!this.#turns.isDue()) return;
    await this.#to.ready();
    await this.#turns.others();
  }
}

function blocksOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}
