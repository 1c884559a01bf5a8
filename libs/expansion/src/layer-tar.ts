import { encodeDevice, FILE_TYPE } from './erofs-structures.js';
import { encodeXattrs, isStorableXattr, NO_XATTRS, type XattrSet } from './erofs-xattrs.js';
import type { ErofsWriter } from './erofs-writer.js';
import { refuseEntry, refuseSize } from './expansion-error.js';
import { MAX_PATH_BYTES } from './expansion-limits.js';
import type { FileTree } from './file-tree.js';
import type { Attributes } from './inode-table.js';
import type { TarEntry, TarEntryKind, TarSink } from './tar-entry.js';

/** OCI image-spec, layer.md, "Whiteouts". */
const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_WHITEOUT = '.wh..wh..opq';
/** Linux's limits of a device number in its 32-bit form. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;

/**
 * Attributes by which overlayfs steers how layers are stacked. A layer's own are dropped: only whiteouts may hide what is below, and nothing may
 * point elsewhere in it.
 */
const OVERLAY_PREFIXES = ['trusted.overlay.', 'user.overlay.'];
/** Attributes that only some kinds of files can have on Linux (xattr(7), acl(5)), by the beginning of their names; extraction leaves them out of others. */
const KINDS_OF_PREFIX: readonly (readonly [prefix: string, kinds: readonly TarEntryKind[]])[] = [
  ['user.', ['file', 'directory']],
  ['system.posix_acl_access', ['file', 'directory', 'character', 'block', 'fifo']],
  ['system.posix_acl_default', ['directory']],
];

/** Turns the entries of a layer's tar into a tree, and its contents into blocks as they stream by. */
export class LayerTar implements TarSink {
  readonly #tree: FileTree;
  readonly #writer: ErofsWriter;
  readonly #maxContentBytes: number;
  #contentBytes = 0;

  /** @param maxContentBytes of all files together, holes included. */
  constructor(tree: FileTree, writer: ErofsWriter, maxContentBytes: number) {
    this.#tree = tree;
    this.#writer = writer;
    this.#maxContentBytes = maxContentBytes;
  }

  entry(entry: TarEntry): void {
    this.#contentBytes += entry.sizeBytes;
    if (this.#contentBytes > this.#maxContentBytes) throw refuseSize('maxUncompressedBytes', this.#maxContentBytes, entry.path);
    if (this.#takeWhiteout(entry)) return;
    switch (entry.kind) {
      case 'file':
        this.#tree.put(entry.path, attributesOf(entry, FILE_TYPE.regular), { sizeBytes: entry.sizeBytes, block: this.#writer.nextBlock });
        break;
      case 'directory':
        this.#tree.put(entry.path, attributesOf(entry, FILE_TYPE.directory));
        break;
      case 'symlink':
        this.#tree.put(entry.path, attributesOf({ ...entry, mode: 0o777 }, FILE_TYPE.symlink), { target: symlinkTarget(entry) });
        break;
      case 'hardLink':
        this.#tree.link(entry.path, entry.linkPath);
        break;
      case 'character':
        this.#tree.put(entry.path, attributesOf(entry, FILE_TYPE.character), { device: deviceOf(entry) });
        break;
      case 'block':
        this.#tree.put(entry.path, attributesOf(entry, FILE_TYPE.block), { device: deviceOf(entry) });
        break;
      case 'fifo':
        this.#tree.put(entry.path, attributesOf(entry, FILE_TYPE.fifo));
        break;
    }
  }

  contents(bytes: Uint8Array): void {
    this.#writer.append(bytes);
  }

  hole(sizeBytes: number): void {
    this.#writer.appendZeros(sizeBytes);
  }

  endContents(): void {
    this.#writer.endFile();
  }

  #takeWhiteout(entry: TarEntry): boolean {
    const path = entry.path.replace(/\/+$/, '');
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (!name.startsWith(WHITEOUT_PREFIX)) return false;
    const folder = path.slice(0, slash + 1);
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (name === OPAQUE_WHITEOUT) {
      this.#tree.makeOpaque(folder);
    } else if (hidden === '' || hidden === '.' || hidden === '..') {
      throw refuseEntry('TAR_INVALID', entry.path, 'is a whiteout of no name');
    } else {
      this.#tree.whiteOut(folder + hidden);
    }
    return true;
  }
}

function attributesOf(entry: TarEntry, type: number): Attributes {
  return {
    mode: type | entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtimeSeconds: entry.mtimeSeconds,
    mtimeNanoseconds: entry.mtimeNanoseconds,
    xattrs: xattrsOf(entry),
  };
}

function xattrsOf(entry: TarEntry): XattrSet {
  if (entry.xattrs.size === 0) return NO_XATTRS;
  const kept = new Map<string, Uint8Array>();
  for (const [name, value] of entry.xattrs) {
    if (name.includes('\0')) throw refuseEntry('TAR_INVALID', entry.path, 'has an extended attribute with a NUL in its name');
    if (isStorableXattr(name) && isKept(name, entry.kind)) kept.set(name, value);
  }
  const set = encodeXattrs(kept);
  if (set === undefined) throw refuseEntry('ENTRY_UNSUPPORTED', entry.path, 'has extended attributes that Linux cannot hold');
  return set;
}

function isKept(name: string, kind: TarEntryKind): boolean {
  if (OVERLAY_PREFIXES.some((prefix) => name.startsWith(prefix))) return false;
  const rule = KINDS_OF_PREFIX.find(([prefix]) => name.startsWith(prefix));
  return rule === undefined || rule[1].includes(kind);
}

function symlinkTarget(entry: TarEntry): string {
  if (entry.linkPath === '' || entry.linkPath.length > MAX_PATH_BYTES || entry.linkPath.includes('\0')) {
    throw refuseEntry('TAR_INVALID', entry.path, `is a symbolic link whose target is not 1 to ${MAX_PATH_BYTES} bytes without NUL`);
  }
  return entry.linkPath;
}

function deviceOf(entry: TarEntry): number {
  const { deviceMajor: major, deviceMinor: minor } = entry;
  if (major < 0 || major > MAX_MAJOR || minor < 0 || minor > MAX_MINOR) {
    throw refuseEntry('TAR_INVALID', entry.path, 'has a device number that Linux cannot hold');
  }
  return encodeDevice(major, minor);
}
