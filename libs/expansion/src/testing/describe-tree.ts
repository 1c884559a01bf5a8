import { type FilesystemTree, isWhiteout, ROOT } from '../filesystem-tree.js';

/** Everything that a tree in memory says of one path. */
export interface DescribedEntry {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Names and values, one character per byte, as they stand on disk. */
  readonly xattrs: readonly string[];
  readonly sizeBytes: number;
  /** The first block of a file that is not empty, the number of a device. */
  readonly blockOrDevice: number;
  readonly target?: string;
  /** Names of the same file are the only ones that have the same number. */
  readonly inode: number;
  readonly isOpaque: boolean;
  readonly isWhiteout: boolean;
}

/** Every path of a tree, `` for its root, parents before their children. */
export function describeTree(tree: FilesystemTree): Map<string, DescribedEntry> {
  const described = new Map<string, DescribedEntry>();
  const queue: (readonly [path: string, inode: number])[] = [['', ROOT]];
  for (let next = 0; next < queue.length; next += 1) {
    const [path, inode] = queue[next]!;
    described.set(path, describeEntry(tree, inode));
    for (const [name, child] of tree.directory(inode)?.children ?? []) queue.push([path === '' ? name : `${path}/${name}`, child]);
  }
  return described;
}

function describeEntry(tree: FilesystemTree, inode: number): DescribedEntry {
  const { xattrs, sizeBytes, blockOrDevice, ...attributes } = tree.inodes.read(inode);
  const target = tree.target(inode);
  const isFile = (attributes.mode & 0o170000) === 0o100000;
  return {
    ...attributes,
    xattrs: xattrs.entries.map((entry) => entry.bytes.toString('latin1')),
    sizeBytes,
    blockOrDevice: isFile && sizeBytes === 0 ? 0 : blockOrDevice,
    ...(target === undefined ? {} : { target }),
    inode,
    isOpaque: tree.isOpaque(inode),
    isWhiteout: isWhiteout(tree, inode),
  };
}

/** The same, with inodes named by the first of their paths: two trees that say the same are equal so, whatever their inodes are numbered. */
export function describeNames(described: ReadonlyMap<string, DescribedEntry>): Record<string, unknown> {
  const paths = [...described.keys()].sort();
  const first = new Map<number, string>();
  return Object.fromEntries(paths.map((path) => {
    const { inode, ...entry } = described.get(path)!;
    if (!first.has(inode)) first.set(inode, path);
    return [path, { ...entry, inode: first.get(inode) }];
  }));
}
