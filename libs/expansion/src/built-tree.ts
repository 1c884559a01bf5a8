import { FILE_TYPE, FILE_TYPE_MASK } from './erofs-structures.js';
import { refuseSize } from './expansion-error.js';
import type { ExpansionLimits } from './expansion-limits.js';
import { type Contents, type Directory, type FilesystemTree, ROOT } from './filesystem-tree.js';
import { type Attributes, InodeTable } from './inode-table.js';

interface OpenDirectory extends Directory {
  readonly children: Map<string, number>;
}

/**
 * A tree that is put together inode by inode and name by name, where both are known already: read from a filesystem, or taken over from other trees.
 * It only keeps what it is given, and its limits.
 */
export class BuiltTree implements FilesystemTree {
  readonly inodes = new InodeTable();
  readonly #limits: Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>;
  readonly #directories = new Map<number, OpenDirectory>();
  readonly #targets = new Map<number, string>();
  readonly #opaque = new Set<number>();
  #entryCount = 0;
  #nameBytes = 0;

  /** @param root the attributes of the root directory, which has no name. */
  constructor(limits: Pick<ExpansionLimits, 'maxEntries' | 'maxNameBytes'>, root: Attributes) {
    this.#limits = limits;
    this.add(ROOT, root);
  }

  /**
   * Adds an inode that has no name yet.
   * @param parent of a directory; of anything else it does not matter.
   * @throws {ExpansionError} `TOO_LARGE`
   */
  add(parent: number, attributes: Attributes, contents: Contents = {}): number {
    const inode = this.inodes.add(attributes);
    if ((attributes.mode & FILE_TYPE_MASK) === FILE_TYPE.directory) this.#directories.set(inode, { parent, children: new Map() });
    this.inodes.setContents(inode, contents.sizeBytes ?? contents.target?.length ?? 0, contents.block ?? contents.device ?? 0);
    if (contents.target !== undefined) this.#targets.set(inode, contents.target);
    this.#count(0, contents.target?.length ?? 0);
    return inode;
  }

  /** Gives an inode a name, which the directory does not have yet. @throws {ExpansionError} `TOO_LARGE` */
  setName(directory: number, name: string, inode: number): void {
    this.#count(1, name.length);
    this.#directories.get(directory)!.children.set(name, inode);
  }

  /** Marks a directory that hides what lower layers hold in it. */
  makeOpaque(directory: number): void {
    this.#opaque.add(directory);
  }

  directory(inode: number): Directory | undefined {
    return this.#directories.get(inode);
  }

  target(inode: number): string | undefined {
    return this.#targets.get(inode);
  }

  isOpaque(inode: number): boolean {
    return this.#opaque.has(inode);
  }

  #count(entries: number, nameBytes: number): void {
    this.#entryCount += entries;
    this.#nameBytes += nameBytes;
    const { maxEntries, maxNameBytes } = this.#limits;
    if (this.#entryCount > maxEntries) throw refuseSize('maxEntries', maxEntries);
    if (this.#nameBytes + this.inodes.xattrBytes > maxNameBytes) throw refuseSize('maxNameBytes', maxNameBytes);
  }
}
