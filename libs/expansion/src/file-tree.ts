import { FILE_TYPE, FILE_TYPE_MASK } from './erofs-structures.js';
import { NO_XATTRS } from './erofs-xattrs.js';
import { refuseEntry, refuseSize } from './expansion-error.js';
import { type ExpansionLimits, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_SYMLINKS_FOLLOWED } from './expansion-limits.js';
import { type Contents, type Directory, type FilesystemTree, ROOT } from './filesystem-tree.js';
import { type Attributes, InodeTable } from './inode-table.js';

/** Steps of one look-up, symbolic links followed included: far beyond any path, it bounds what a hostile web of links costs. */
const MAX_PATH_STEPS = 4096;
/** A V8 substring of this length or more keeps the string that it was cut from. */
const SLICED_STRING_LENGTH = 13;

/** A directory that a layer implies without an entry of its own: rwxr-xr-x, owned by root, at the beginning of 1970. */
const IMPLIED_DIRECTORY: Attributes = {
  mode: FILE_TYPE.directory | 0o755,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  xattrs: NO_XATTRS,
};
const WHITEOUT: Attributes = { ...IMPLIED_DIRECTORY, mode: FILE_TYPE.character };

/** Of every directory that is empty yet: a map for each would be most of what a million of them take. Never written to. */
const NO_CHILDREN = new Map<string, number>();

interface OpenDirectory extends Directory {
  children: Map<string, number>;
}

/**
 * The tree of one layer, grown entry by entry with the meaning that extraction by containerd gives them:
 *
 * - a later entry replaces an earlier one of the same name, but a directory keeps its children when a directory comes again;
 * - missing parents are made (0755, root, 1970-01-01);
 * - a symbolic link in the path of an entry is followed inside the tree: `/` and `..` in its target end at the tree's root;
 * - a leading `/` in a name means nothing; `..` in a name, a parent that is no directory, and a loop of links are refused (`TAR_INVALID`);
 * - whiteouts hide what lower layers hold: a name becomes a character device 0/0 unless this layer has an entry of that name, and a
 *   directory that this layer has as well becomes opaque.
 *
 * So nothing is ever placed outside the tree: there is no path that leads there. Names and targets are one character per byte.
 */
export class FileTree implements FilesystemTree {
  readonly inodes = new InodeTable();
  readonly #limits: ExpansionLimits;
  readonly #directories = new Map<number, OpenDirectory>();
  readonly #targets = new Map<number, string>();
  readonly #whiteouts = new Set<number>();
  readonly #opaque = new Set<number>();
  #nameBytes = 0;
  #entryCount = 0;
  /** The entry under way, for refusals. */
  #entry = '';

  constructor(limits: ExpansionLimits) {
    this.#limits = limits;
    this.#directories.set(this.inodes.add(IMPLIED_DIRECTORY), { parent: ROOT, children: NO_CHILDREN });
  }

  /** Places a file, directory, link target or device at `path`. */
  put(path: string, attributes: Attributes, contents: Contents = {}): void {
    this.#entry = path;
    const isDirectory = (attributes.mode & FILE_TYPE_MASK) === FILE_TYPE.directory;
    const { parent, name } = this.#place(path);
    if (name === undefined && !isDirectory) throw refuseEntry('TAR_INVALID', path, 'has no name and is no directory');
    const existing = name === undefined ? ROOT : this.#children(parent).get(name);
    if (isDirectory && existing !== undefined && this.#directories.has(existing)) {
      this.inodes.setAttributes(existing, attributes);
      this.#count(0);
      return;
    }
    const inode = this.#add(parent, name!, attributes);
    this.inodes.setContents(inode, contents.sizeBytes ?? contents.target?.length ?? 0, contents.block ?? contents.device ?? 0);
    if (contents.target !== undefined) {
      this.#count(contents.target.length);
      this.#targets.set(inode, contents.target);
    }
    if (isDirectory && existing !== undefined && this.#whiteouts.has(existing)) this.#opaque.add(inode);
  }

  /**
   * Gives the file at `target` a further name. Symbolic links in the target's parents are followed, at its end they are not.
   *
   * The target is an earlier entry of this layer. containerd looks for it in the layer's own directory alone (`hardlinkRootPath` in pkg/archive/tar.go,
   * with overlayfs's upper directory as root in core/diff/apply/apply_linux.go), and so does `mkfs.erofs --tar`: for both, a layer with a link
   * to a file of a lower layer, or to a later entry, cannot be unpacked. Here it is refused, and its image's other layers are not.
   * @throws {ExpansionError} `LINK_TARGET_MISSING` when this layer has no such file, `TAR_INVALID` when it is a directory.
   */
  link(path: string, target: string): void {
    this.#entry = path;
    const names = splitPath(target, path);
    const last = names.pop();
    const directory = last === undefined ? undefined : this.#walk(names, path, false);
    const inode = directory === undefined ? undefined : this.#children(directory).get(last!);
    if (inode === undefined || this.#whiteouts.has(inode)) {
      throw refuseEntry('LINK_TARGET_MISSING', path, `is a hard link to ${JSON.stringify(target.slice(0, 200))}, which this layer does not hold`);
    }
    if (this.#directories.has(inode)) throw refuseEntry('TAR_INVALID', path, 'is a hard link to a directory');
    const { parent, name } = this.#place(path);
    if (name === undefined) throw refuseEntry('TAR_INVALID', path, 'has no name and is no directory');
    this.#setChild(parent, name, inode);
  }

  /** Hides what lower layers hold at `path`. */
  whiteOut(path: string): void {
    this.#entry = path;
    const { parent, name } = this.#place(path);
    if (name === undefined) throw refuseEntry('TAR_INVALID', path, 'hides the root');
    const existing = this.#children(parent).get(name);
    if (existing === undefined) this.#whiteouts.add(this.#add(parent, name, WHITEOUT));
    else if (this.#directories.has(existing)) this.#opaque.add(existing);
  }

  /** Hides everything that lower layers hold in the directory at `path`. */
  makeOpaque(path: string): void {
    this.#entry = path;
    this.#opaque.add(this.#walk(splitPath(path, path), path, true)!);
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

  /** The directory that holds the last name of `path`, made where it is missing; no name for the root itself. */
  #place(path: string): { readonly parent: number; readonly name: string | undefined } {
    const names = splitPath(path, path);
    const name = names.pop();
    return { parent: this.#walk(names, path, true)!, name };
  }

  /** Looks a directory up from the root. With `make`, what is missing is made; without, a missing one gives undefined. */
  #walk(names: readonly string[], path: string, make: boolean): number | undefined {
    const ahead = [...names].reverse();
    let at = ROOT;
    let followed = 0;
    for (let step = 0; ahead.length > 0; step += 1) {
      if (step === MAX_PATH_STEPS) throw refuseEntry('TAR_INVALID', path, `takes over ${MAX_PATH_STEPS} steps to look up`);
      const name = ahead.pop()!;
      if (name === '..') {
        at = this.#directories.get(at)!.parent;
        continue;
      }
      const child = this.#children(at).get(name);
      const target = child === undefined ? undefined : this.#targets.get(child);
      if (target !== undefined) {
        followed += 1;
        if (followed > MAX_SYMLINKS_FOLLOWED) throw refuseEntry('TAR_INVALID', path, `passes over ${MAX_SYMLINKS_FOLLOWED} symbolic links`);
        if (target.startsWith('/')) at = ROOT;
        for (const part of target.split('/').reverse()) if (part !== '' && part !== '.') ahead.push(part);
      } else if (child !== undefined && this.#directories.has(child)) {
        at = child;
      } else if (child !== undefined && !this.#whiteouts.has(child)) {
        throw refuseEntry('TAR_INVALID', path, `stands under ${JSON.stringify(name)}, which is no directory`);
      } else if (make) {
        at = this.#add(at, name, IMPLIED_DIRECTORY);
        if (child !== undefined) this.#opaque.add(at);
      } else {
        return undefined;
      }
    }
    return at;
  }

  #add(parent: number, name: string, attributes: Attributes): number {
    const inode = this.inodes.add(attributes);
    if ((attributes.mode & FILE_TYPE_MASK) === FILE_TYPE.directory) this.#directories.set(inode, { parent, children: NO_CHILDREN });
    this.#setChild(parent, name, inode);
    return inode;
  }

  #setChild(parent: number, name: string, inode: number): void {
    if (name.length > MAX_NAME_BYTES) throw refuseEntry('TAR_INVALID', this.#entry, `has a name of over ${MAX_NAME_BYTES} bytes`);
    this.#entryCount += 1;
    if (this.#entryCount > this.#limits.maxEntries) throw refuseSize('maxEntries', this.#limits.maxEntries, this.#entry);
    this.#count(name.length);
    const own = name.length < SLICED_STRING_LENGTH ? name : Buffer.from(name, 'latin1').toString('latin1');
    const directory = this.#directories.get(parent)!;
    if (directory.children === NO_CHILDREN) directory.children = new Map();
    directory.children.set(own, inode);
  }

  #children(directory: number): ReadonlyMap<string, number> {
    return this.#directories.get(directory)!.children;
  }

  #count(nameBytes: number): void {
    this.#nameBytes += nameBytes;
    if (this.#nameBytes + this.inodes.xattrBytes > this.#limits.maxNameBytes) throw refuseSize('maxNameBytes', this.#limits.maxNameBytes, this.#entry);
  }
}

/** The names of a path; `entry` is the entry that it belongs to. */
function splitPath(path: string, entry: string): string[] {
  if (path.length > MAX_PATH_BYTES) throw refuseEntry('TAR_INVALID', entry, `has a path of over ${MAX_PATH_BYTES} bytes`);
  if (path.includes('\0')) throw refuseEntry('TAR_INVALID', entry, 'has a NUL in its path');
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw refuseEntry('TAR_INVALID', entry, `has ".." in ${path === entry ? 'its path' : 'the path it links to'}`);
  return names;
}
