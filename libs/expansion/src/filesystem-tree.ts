import { FILE_TYPE, FILE_TYPE_MASK } from './erofs-structures.js';
import type { InodeTable } from './inode-table.js';

/** The root directory's inode in every tree. */
export const ROOT = 0;

/** What is in one directory. */
export interface Directory {
  readonly parent: number;
  /** Inodes by name, one character per byte. */
  readonly children: ReadonlyMap<string, number>;
}

/** What an entry's contents are, by its type. */
export interface Contents {
  /** Regular files: their length and first block. */
  readonly sizeBytes?: number;
  readonly block?: number;
  /** Devices: their number as it stands on disk. */
  readonly device?: number;
  /** Symbolic links: their target, one character per byte, at least one. */
  readonly target?: string;
}

/**
 * A whole tree in memory, as a filesystem is written from it. Its root is the directory {@link ROOT}; every other inode has at least one name.
 * A whiteout stands in it as what it is on disk, and opaque directories are marked: no other attribute of overlayfs is among the extended attributes.
 */
export interface FilesystemTree {
  readonly inodes: InodeTable;
  /** What is in a directory; undefined for any other inode. */
  directory(inode: number): Directory | undefined;
  /** The target of a symbolic link; undefined for any other inode. */
  target(inode: number): string | undefined;
  /** True for a directory that hides what lower layers hold in it. */
  isOpaque(inode: number): boolean;
}

/** True for what hides a name of lower layers: a character device 0/0. */
export function isWhiteout(tree: FilesystemTree, inode: number): boolean {
  return (tree.inodes.mode(inode) & FILE_TYPE_MASK) === FILE_TYPE.character && tree.inodes.blockOrDevice(inode) === 0;
}
