import { LAYER_FILE_VERSION } from '#shares';

import { BuiltTree } from './built-tree.js';
import { BLOCK_BYTES, FILE_TYPE, FILE_TYPE_MASK, type Inode, INODE_BYTES, NID_BYTES, type Superblock } from './erofs-structures.js';
import { type ExpansionLimits, MAX_PATH_BYTES } from './expansion-limits.js';
import { type Contents, type FilesystemTree, ROOT } from './filesystem-tree.js';
import type { Attributes } from './inode-table.js';
import { layerFileId } from './layer-file-id.js';
import { direntTypeOf, type InvalidField, readDirents, readInode, readSuperblock } from './read-erofs-structures.js';
import { XattrReader } from './read-erofs-xattrs.js';
import { Turns } from './turns.js';
import { invalidLayerFile, type LayerFile, VerifiedPieces } from './verified-pieces.js';

/** A directory whose names are known, and whose inodes are read next. */
interface PendingDirectory {
  readonly inode: number;
  readonly nid: number;
  readonly parentNid: number;
  readonly names: readonly { readonly name: string; readonly nid: number; readonly type: number }[];
}

/** Everything that reading a tree takes. No piece of the file is held before and afterwards. */
interface OpenFile {
  readonly file: LayerFile;
  readonly superblock: Superblock;
}

type TreeLimits = Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>;

/** One inode that was read, with its place in the tree. */
interface TakenInode {
  readonly inode: number;
  readonly mode: number;
}

/**
 * Opens the filesystem in a layer's file of the present version on a share: checks that the file has the record's size and digest, and reads the superblock.
 * @throws {ExpansionError} `LAYER_FILE_INVALID`, naming the layer and the field. `ShareError` as it is.
 */
export async function openLayerFilesystem(file: LayerFile): Promise<LayerFilesystem> {
  const pieces = new VerifiedPieces(file);
  await pieces.checkFacts();
  const invalid: InvalidField = (field, problem) => invalidLayerFile(file, field, problem);
  const superblock = readSuperblock(await pieces.readStart(BLOCK_BYTES), invalid);
  const { layer } = file;
  const { rootNid, inodeCount, blockCount, metaBlock, xattrBlock } = superblock;
  const filesystemBytes = layer.verity?.hashOffset;
  if (filesystemBytes === undefined || layer.writerVersion !== LAYER_FILE_VERSION) throw invalid('version', `is not ${LAYER_FILE_VERSION}`);
  if (filesystemBytes > layer.vhd.sizeBytes) throw invalid('size', 'is less than that of the filesystem');
  if (blockCount * BLOCK_BYTES !== filesystemBytes) throw invalid('blocks', `is not ${filesystemBytes / BLOCK_BYTES}`);
  if (metaBlock < 1 || metaBlock >= blockCount) throw invalid('meta_blkaddr', 'is not in the filesystem');
  if (xattrBlock >= metaBlock) throw invalid('xattr_blkaddr', 'is not before the inodes');
  if (rootNid === 0) throw invalid('root_nid', 'is 0');
  if (inodeCount > layer.entryCount + 1) throw invalid('inos', 'is more than there are names');
  if (!layerFileId('erofs', layer.diffId).equals(superblock.uuid)) throw invalid('uuid', 'is that of another layer');
  return new LayerFilesystem({ file, superblock });
}

/** The filesystem of one layer, open for reading its tree. See {@link openLayerFilesystem}. */
export class LayerFilesystem {
  readonly #open: OpenFile;

  constructor(open: OpenFile) {
    this.#open = open;
  }

  /** Blocks of the filesystem: what stands behind them in the file belongs to it no more. */
  get blockCount(): number {
    return this.#open.superblock.blockCount;
  }

  /**
   * Reads the whole tree, without the contents of files. Nothing in the file is believed: the order in which the writer places things is insisted on, and
   * so everything is read forward and once; it costs time and memory by the number of entries that the record tells.
   * @throws {ExpansionError} `LAYER_FILE_INVALID`, naming the layer and the field; `TOO_LARGE`. `ShareError` as it is.
   */
  async readTree(limits: TreeLimits): Promise<FilesystemTree> {
    return new TreeReader(this.#open, limits).read();
  }
}

/** Reads one tree, directory by directory, in the order in which `ErofsLayout` places inodes. */
class TreeReader {
  readonly #pieces: VerifiedPieces;
  readonly #turns = new Turns();
  readonly #superblock: Superblock;
  readonly #entryCount: number;
  readonly #invalid: InvalidField;
  /** Node numbers in ascending order, and what belongs to each, by inode. */
  readonly #nids: Uint32Array;
  readonly #linkCounts: Uint32Array;
  readonly #pending: (PendingDirectory | undefined)[] = [];
  readonly #xattrs: XattrReader;
  readonly #limits: TreeLimits;
  #tree: BuiltTree | undefined;
  #inodeCount = 0;
  #namesRead = 0;
  /** Where the next inode, and the next block of a directory or link, may stand at the earliest. */
  #nextInodeAt = 0;
  #nextBlock: number;

  constructor({ file, superblock }: OpenFile, limits: TreeLimits) {
    const { xattrBlock, metaBlock, inodeCount } = superblock;
    const pieces = new VerifiedPieces(file);
    this.#pieces = pieces;
    this.#superblock = superblock;
    this.#limits = limits;
    this.#entryCount = file.layer.entryCount;
    this.#invalid = (field, problem) => invalidLayerFile(file, field, problem);
    this.#nids = new Uint32Array(inodeCount);
    this.#linkCounts = new Uint32Array(inodeCount);
    this.#nextBlock = Math.max(xattrBlock, 1);
    const sharedBytes = xattrBlock === 0 ? 0 : (metaBlock - xattrBlock) * BLOCK_BYTES;
    const shared = { sizeBytes: sharedBytes, read: (offset: number, length: number) => pieces.read(xattrBlock * BLOCK_BYTES + offset, length) };
    this.#xattrs = new XattrReader(shared, limits.maxNameBytes, this.#invalid);
  }

  async read(): Promise<FilesystemTree> {
    const { rootNid, inodeCount } = this.#superblock;
    const root = await this.#takeInode(rootNid, ROOT, rootNid);
    if ((root.mode & FILE_TYPE_MASK) !== FILE_TYPE.directory) throw this.#invalid('root', 'is no directory');
    const tree = this.#tree!;
    for (let next = 0; next < this.#pending.length; next += 1) {
      const directory = this.#pending[next]!;
      this.#pending[next] = undefined;
      await this.#takeNames(tree, directory);
    }
    if (this.#inodeCount !== inodeCount) throw this.#invalid('inos', 'is not how many there are');
    if (this.#namesRead !== this.#entryCount) throw this.#invalid('names', 'are not as many as recorded');
    await this.#checkLinkCounts(tree);
    return tree;
  }

  async #takeNames(tree: BuiltTree, { inode: directory, nid: directoryNid, parentNid, names }: PendingDirectory): Promise<void> {
    let dots = 0;
    for (const { name, nid, type } of names) {
      const isDot = name === '.' || name === '..';
      if (isDot) {
        if (nid !== (name === '.' ? directoryNid : parentNid)) throw this.#invalid('nid', `of ${name} is another’s`);
        dots += 1;
        continue;
      }
      const isNew = nid > this.#nids[this.#inodeCount - 1]!;
      const taken = isNew ? await this.#takeInode(nid, directory, directoryNid) : this.#knownFile(tree, nid);
      if (direntTypeOf(taken.mode) !== type) throw this.#invalid('file_type', 'is not that of the inode');
      tree.setName(directory, name, taken.inode);
    }
    if (dots !== 2) throw this.#invalid('names', 'of a directory lack . or ..');
  }

  /** A further name of a file. A directory has one name only, so there are no loops. */
  #knownFile(tree: BuiltTree, nid: number): TakenInode {
    let low = 0;
    let high = this.#inodeCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#nids[middle]! < nid) low = middle + 1;
      else high = middle;
    }
    if (low === this.#inodeCount || this.#nids[low] !== nid) throw this.#invalid('nid', 'is that of no inode');
    if (tree.directory(low) !== undefined) throw this.#invalid('nid', 'gives a directory a second name');
    return { inode: low, mode: tree.inodes.mode(low) };
  }

  /** Reads the next inode and what stands with it; a directory's names are put with those to be followed. */
  async #takeInode(nid: number, parent: number, parentNid: number): Promise<TakenInode> {
    const { metaBlock, blockCount, inodeCount } = this.#superblock;
    const offset = nid * NID_BYTES;
    const areaBytes = (blockCount - metaBlock) * BLOCK_BYTES;
    if (offset < this.#nextInodeAt || offset + INODE_BYTES > areaBytes) throw this.#invalid('nid', 'is out of its place');
    if (this.#inodeCount === inodeCount) throw this.#invalid('inos', 'is less than there are');
    if (this.#turns.isDue()) await this.#turns.others();
    const start = metaBlock * BLOCK_BYTES + offset;
    const inode = readInode(await this.#pieces.read(start, INODE_BYTES), this.#invalid);
    const fixedBytes = INODE_BYTES + inode.xattrBytes;
    const endsAt = offset + fixedBytes + (inode.inline ? inode.sizeBytes : 0);
    if (endsAt > areaBytes) throw this.#invalid('i_size', 'reaches out of the inodes');
    if (inode.inline && Math.floor(offset / BLOCK_BYTES) !== Math.floor((endsAt - 1) / BLOCK_BYTES)) throw this.#invalid('i_size', 'reaches out of its block');
    this.#nextInodeAt = endsAt;
    const { set, isOpaque } = await this.#xattrs.read(await this.#pieces.read(start + INODE_BYTES, inode.xattrBytes));
    const isDirectory = (inode.mode & FILE_TYPE_MASK) === FILE_TYPE.directory;
    if (isOpaque && !isDirectory) throw this.#invalid('xattr', 'makes opaque what is no directory');
    const number = this.#add(parent, { ...inode, xattrs: set }, await this.#contentsOf(inode, start + fixedBytes));
    this.#nids[number] = nid;
    this.#linkCounts[number] = inode.linkCount;
    if (inode.ino !== this.#inodeCount) throw this.#invalid('i_ino', 'is not its number');
    if (isOpaque) this.#tree!.makeOpaque(number);
    if (isDirectory) this.#pending.push({ inode: number, nid, parentNid, names: await this.#namesOf(inode, start + fixedBytes) });
    return { inode: number, mode: inode.mode };
  }

  #add(parent: number, attributes: Attributes, contents: Contents): number {
    this.#inodeCount += 1;
    if (this.#tree !== undefined) return this.#tree.add(parent, attributes, contents);
    this.#tree = new BuiltTree(this.#limits, attributes);
    return ROOT;
  }

  async #contentsOf(inode: Inode, inlineAt: number): Promise<Contents> {
    const { mode, sizeBytes, blockOrDevice } = inode;
    switch (mode & FILE_TYPE_MASK) {
      case FILE_TYPE.directory:
        return {};
      case FILE_TYPE.regular:
        this.#checkFile(inode);
        return { sizeBytes, block: blockOrDevice };
      case FILE_TYPE.symlink:
        return { target: await this.#targetOf(inode, inlineAt) };
      case FILE_TYPE.character:
      case FILE_TYPE.block:
      case FILE_TYPE.fifo:
        if (inode.inline || sizeBytes !== 0) throw this.#invalid('i_size', 'of a special file is not 0');
        return { device: blockOrDevice };
      default:
        throw this.#invalid('i_mode', 'has no type that is written');
    }
  }

  #checkFile({ inline, sizeBytes, blockOrDevice }: Inode): void {
    const { xattrBlock, metaBlock } = this.#superblock;
    const end = blockOrDevice + Math.ceil(sizeBytes / BLOCK_BYTES);
    if (inline) throw this.#invalid('i_format', 'of a file is inline');
    if (sizeBytes > 0 && (blockOrDevice < 1 || end > (xattrBlock === 0 ? metaBlock : xattrBlock))) throw this.#invalid('i_size', 'reaches out of the contents');
  }

  async #targetOf(inode: Inode, inlineAt: number): Promise<string> {
    if (inode.sizeBytes < 1 || inode.sizeBytes > MAX_PATH_BYTES) throw this.#invalid('i_size', `of a link is not 1 to ${MAX_PATH_BYTES}`);
    const at = inode.inline ? inlineAt : this.#takeBlocks(inode) * BLOCK_BYTES;
    const target = (await this.#pieces.read(at, inode.sizeBytes)).toString('latin1');
    if (target.includes('\0')) throw this.#invalid('target', 'has a NUL');
    return target;
  }

  async #namesOf(inode: Inode, inlineAt: number): Promise<PendingDirectory['names']> {
    const start = inode.inline ? inlineAt : this.#takeBlocks(inode) * BLOCK_BYTES;
    const names: PendingDirectory['names'][number][] = [];
    for (let at = 0; at < inode.sizeBytes; at += BLOCK_BYTES) {
      const block = await this.#pieces.read(start + at, Math.min(BLOCK_BYTES, inode.sizeBytes - at));
      for (const dirent of readDirents(block, names.at(-1)?.name ?? '', this.#invalid)) {
        names.push(dirent);
        if (dirent.name !== '.' && dirent.name !== '..') this.#namesRead += 1;
      }
      if (this.#namesRead > this.#entryCount) throw this.#invalid('names', 'are more than recorded');
    }
    return names;
  }

  /** The first block of a directory or link that has its own. */
  #takeBlocks({ sizeBytes, blockOrDevice }: Inode): number {
    const end = blockOrDevice + Math.ceil(sizeBytes / BLOCK_BYTES);
    if (blockOrDevice < this.#nextBlock || end > this.#superblock.metaBlock) throw this.#invalid('i_u', 'is out of its place');
    this.#nextBlock = end;
    return blockOrDevice;
  }

  async #checkLinkCounts(tree: FilesystemTree): Promise<void> {
    const counts = new Uint32Array(tree.inodes.count);
    counts[ROOT] = 2;
    for (let directory = 0; directory < counts.length; directory += 1) {
      if (this.#turns.isDue()) await this.#turns.others();
      for (const inode of tree.directory(directory)?.children.values() ?? []) {
        if (this.#turns.isDue()) await this.#turns.others();
        const isDirectory = tree.directory(inode) !== undefined;
        counts[inode]! += isDirectory ? 2 : 1;
        if (isDirectory) counts[directory]! += 1;
      }
    }
    if (counts.some((count, inode) => count !== this.#linkCounts[inode])) throw this.#invalid('i_nlink', 'is not how many names there are');
  }
}
