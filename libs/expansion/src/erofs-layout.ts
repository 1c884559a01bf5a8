import { BLOCK_BYTES, DIRENT_BYTES, FILE_TYPE, FILE_TYPE_MASK, INODE_BYTES, NID_BYTES } from './erofs-structures.js';
import { encodeXattrs, HEADER_BYTES as XATTR_HEADER_BYTES, SharedXattrArea, type XattrSet } from './erofs-xattrs.js';
import { type FilesystemTree, isWhiteout, ROOT } from './filesystem-tree.js';
import { sortNames } from './sort-names.js';
import { Turns } from './turns.js';

/** The root stands first, one inode into the area: node number 0 means "none" in places. */
const FIRST_INODE_OFFSET = INODE_BYTES;

/** Where one inode stands, and what belongs to it. */
export interface PlacedInode {
  readonly inode: number;
  /** From the start of the inode area. */
  readonly offset: number;
  /** Bytes of the data that stands behind the inode: 0 where the data stands in blocks, or where there is none. */
  readonly inlineBytes: number;
}

/** One block's worth of a directory: names `from` up to `to` (not included), and the bytes they take. */
export interface DirentBlock {
  readonly from: number;
  readonly to: number;
  readonly usedBytes: number;
}

/**
 * Where everything but file contents stands in the filesystem. Three areas, each starting at a block: shared attributes, blocks of
 * large directories and long link targets, inodes with what fits behind them. Addresses are relative to the start of each area:
 * the layout depends on the tree alone. Inodes are placed directory by directory, top down, in the order of their names.
 * See {@link ErofsLayout.of}.
 */
export class ErofsLayout {
  readonly #tree: FilesystemTree;
  readonly #nids: Uint32Array;
  readonly #linkCounts: Uint32Array;
  readonly #inlineBytes: Uint16Array;
  readonly #firstBlocks = new Map<number, number>();
  readonly #names = new Map<number, readonly string[]>();
  readonly #order: number[] = [];
  readonly #hiding = new Set<number>();
  readonly #turns = new Turns();
  readonly sharedXattrs = new SharedXattrArea();
  #areaBytes = FIRST_INODE_OFFSET;
  #blockCount = 0;
  #entryCount = 0;

  private constructor(tree: FilesystemTree) {
    this.#tree = tree;
    this.#nids = new Uint32Array(tree.inodes.count);
    this.#linkCounts = new Uint32Array(tree.inodes.count);
    this.#inlineBytes = new Uint16Array(tree.inodes.count);
  }

  /** The layout of a tree, which changes no more. It takes a second or so for a million entries; everything else has its turn in between. */
  static async of(tree: FilesystemTree): Promise<ErofsLayout> {
    const layout = new ErofsLayout(tree);
    await layout.#sortNames();
    await layout.#placeAll();
    return layout;
  }

  /** All inodes that have a name, and the root, in the order in which they stand. */
  *placed(): Generator<PlacedInode> {
    for (const inode of this.#order) yield { inode, offset: this.#nids[inode]! * NID_BYTES, inlineBytes: this.#inlineBytes[inode]! };
  }

  /** The directories and links whose data stands in blocks, in the order of these. */
  blockInodes(): Iterable<number> {
    return this.#firstBlocks.keys();
  }

  /** The first block of a directory's or link's data, from the start of their area; undefined where it stands behind the inode. */
  firstBlock(inode: number): number | undefined {
    return this.#firstBlocks.get(inode);
  }

  /** Blocks of the area of large directories and long link targets. */
  get blockCount(): number {
    return this.#blockCount;
  }

  /** Bytes of the inode area. */
  get areaBytes(): number {
    return this.#areaBytes;
  }

  /** How many inodes are placed. */
  get inodeCount(): number {
    return this.#order.length;
  }

  /** How many names there are, `.` and `..` not counted. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** The node number of a placed inode. */
  nid(inode: number): number {
    return this.#nids[inode]!;
  }

  /** Names of a file; for a directory 2 and one for each directory in it. */
  linkCount(inode: number): number {
    return this.#linkCounts[inode]!;
  }

  /** The names of a directory in the order of their bytes, with `.` and `..` among them. */
  names(directory: number): readonly string[] {
    return this.#names.get(directory)!;
  }

  /** The inode that `name` means in a directory. */
  child(directory: number, name: string): number {
    if (name === '.') return directory;
    const { parent, children } = this.#tree.directory(directory)!;
    return name === '..' ? parent : children.get(name)!;
  }

  /** The attributes of an inode as they stand on disk, overlayfs's marks of directories among them. */
  xattrs(inode: number): XattrSet {
    const own = this.#tree.inodes.xattrs(inode);
    const marked = this.#tree.isOpaque(inode) ? withMark(own, OPAQUE_MARK) : own;
    return this.#hiding.has(inode) ? withMark(marked, ORIGIN_MARK) : marked;
  }

  async #sortNames(): Promise<void> {
    const queue = [ROOT];
    this.#linkCounts[ROOT] = 2;
    for (let next = 0; next < queue.length; next += 1) {
      const directory = queue[next]!;
      const { children } = this.#tree.directory(directory)!;
      this.#entryCount += children.size;
      // One character per byte: the order of UTF-16 units is the order of bytes.
      const names = children.size === 0 ? NAMES_OF_EMPTY : await sortNames([...children.keys(), '.', '..']);
      this.#names.set(directory, names);
      for (const name of names) {
        if (this.#turns.isDue()) await this.#turns.others();
        if (name === '.' || name === '..') continue;
        const child = children.get(name)!;
        if (this.#tree.directory(child) === undefined) {
          this.#linkCounts[child]! += 1;
          if (isWhiteout(this.#tree, child)) this.#hiding.add(directory);
          continue;
        }
        this.#linkCounts[child] = 2;
        this.#linkCounts[directory]! += 1;
        queue.push(child);
      }
    }
  }

  async #placeAll(): Promise<void> {
    this.#place(ROOT);
    for (const [directory, names] of this.#names) {
      for (const name of names) {
        const child = this.child(directory, name);
        if (this.#nids[child] === 0) this.#place(child);
        if (this.#turns.isDue()) await this.#turns.others();
      }
    }
  }

  #place(inode: number): void {
    const xattrs = this.xattrs(inode);
    this.sharedXattrs.add(xattrs);
    const fixedBytes = INODE_BYTES + xattrs.inlineBytes;
    const dataBytes = this.metadataBytes(inode);
    const inlineBytes = fixedBytes + dataBytes <= BLOCK_BYTES ? dataBytes : 0;
    if (dataBytes > inlineBytes) {
      this.#firstBlocks.set(inode, this.#blockCount);
      this.#blockCount += Math.ceil(dataBytes / BLOCK_BYTES);
    }
    // Kernels refuse inline data that does not stand in the same block as its inode; a bare inode is kept in one block as well.
    const together = inlineBytes > 0 ? fixedBytes + inlineBytes : INODE_BYTES;
    const left = BLOCK_BYTES - (this.#areaBytes % BLOCK_BYTES);
    if (together > left) this.#areaBytes += left;
    this.#nids[inode] = this.#areaBytes / NID_BYTES;
    this.#inlineBytes[inode] = inlineBytes;
    this.#areaBytes = Math.ceil((this.#areaBytes + fixedBytes + inlineBytes) / NID_BYTES) * NID_BYTES;
    this.#order.push(inode);
  }

  /** Bytes of a directory's entries or of a link's target; 0 for anything else. */
  metadataBytes(inode: number): number {
    const type = this.#tree.inodes.mode(inode) & FILE_TYPE_MASK;
    if (type === FILE_TYPE.symlink) return this.#tree.target(inode)!.length;
    if (type !== FILE_TYPE.directory) return 0;
    let fullBlocks = -1;
    let usedBytes = 0;
    for (const block of direntBlocks(this.names(inode))) {
      fullBlocks += 1;
      usedBytes = block.usedBytes;
    }
    return fullBlocks * BLOCK_BYTES + usedBytes;
  }
}

const NAMES_OF_EMPTY: readonly string[] = ['.', '..'];

/** How the sorted names of a directory fill blocks: an entry never stands in two. */
export function* direntBlocks(names: readonly string[]): Generator<DirentBlock> {
  let from = 0;
  let usedBytes = 0;
  for (let index = 0; index < names.length; index += 1) {
    const bytes = DIRENT_BYTES + names[index]!.length;
    if (usedBytes + bytes > BLOCK_BYTES) {
      yield { from, to: index, usedBytes };
      from = index;
      usedBytes = 0;
    }
    usedBytes += bytes;
  }
  yield { from, to: names.length, usedBytes };
}

function withMark(own: XattrSet, mark: XattrSet): XattrSet {
  return { inlineBytes: own.inlineBytes === 0 ? mark.inlineBytes : own.inlineBytes + mark.inlineBytes - XATTR_HEADER_BYTES, entries: [...own.entries, ...mark.entries] };
}

/** Hides what lower layers hold in the directory (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"). */
const OPAQUE_MARK = encodeXattrs(new Map([['trusted.overlay.opaque', Buffer.from('y')]]))!;
/**
 * Says that a directory holds whiteouts. In one that is merged with no other, overlayfs looks for them only then, and lists their names otherwise
 * (fs/overlayfs/inode.c, "Check for non-merge dir that may have whiteouts"); `mkfs.erofs --aufs` sets it for the same reason.
 */
const ORIGIN_MARK = encodeXattrs(new Map([['trusted.overlay.origin', Buffer.alloc(0)]]))!;
