import {
  BLOCK_BITS, BLOCK_BYTES, crc32c, DIRENT_BYTES, DIRENT_TYPES, FEATURE_COMPAT, FILE_TYPE_MASK, type Inode, MAGIC, type Superblock, SUPERBLOCK_OFFSET,
} from './erofs-structures.js';
import { MAX_NAME_BYTES } from './expansion-limits.js';

/** Makes the error of a field that does not say what the writer writes. */
export type InvalidField = (field: string, problem: string) => Error;

/** Features that the writer does not use: they follow feature_incompat in the superblock. */
const FEATURE_INCOMPAT_AT = 80;
const EXTRA_DEVICES_AT = 86;
/** `i_format` of an extended inode, plain and inline. */
const FORMATS: ReadonlyMap<number, boolean> = new Map([[1, false], [5, true]]);

/**
 * Reads the superblock of a filesystem without further devices, as `putSuperblock` writes it, and verifies its checksum.
 * @param firstBlock the filesystem's first block.
 * @throws what `invalid` makes.
 */
export function readSuperblock(firstBlock: Buffer, invalid: InvalidField): Superblock {
  const sb = Buffer.from(firstBlock.subarray(SUPERBLOCK_OFFSET, BLOCK_BYTES));
  if (sb.length !== BLOCK_BYTES - SUPERBLOCK_OFFSET || sb.readUInt32LE(0) !== MAGIC) throw invalid('magic', 'is not that of EROFS');
  const checksum = sb.readUInt32LE(4);
  sb.writeUInt32LE(0, 4);
  if (crc32c(sb) !== checksum) throw invalid('checksum', 'is not that of the superblock');
  if (sb.readUInt32LE(8) !== FEATURE_COMPAT) throw invalid('feature_compat', 'is another');
  if (sb.readUInt8(12) !== BLOCK_BITS) throw invalid('blkszbits', `is not ${BLOCK_BITS}`);
  if (sb.readUInt8(13) !== 0) throw invalid('sb_extslots', 'is not 0');
  if (sb.readUInt32LE(FEATURE_INCOMPAT_AT) !== 0) throw invalid('feature_incompat', 'is not 0');
  if (sb.readUInt16LE(EXTRA_DEVICES_AT) !== 0) throw invalid('extra_devices', 'is not 0');
  return {
    rootNid: sb.readUInt16LE(14),
    inodeCount: Number(sb.readBigUInt64LE(16)),
    blockCount: sb.readUInt32LE(36),
    metaBlock: sb.readUInt32LE(40),
    xattrBlock: sb.readUInt32LE(44),
    uuid: sb.subarray(48, 64),
  };
}

/**
 * Reads an extended inode, as `putInode` writes it.
 * @param bytes 64 of them.
 * @throws what `invalid` makes.
 */
export function readInode(bytes: Buffer, invalid: InvalidField): Inode {
  const inline = FORMATS.get(bytes.readUInt16LE(0));
  if (inline === undefined) throw invalid('i_format', 'is no extended inode, plain or inline');
  const xattrCount = bytes.readUInt16LE(2);
  const sizeBytes = bytes.readUInt32LE(8) + bytes.readUInt32LE(12) * 2 ** 32;
  if (!Number.isSafeInteger(sizeBytes)) throw invalid('i_size', 'is too large');
  const mtimeSeconds = Number(bytes.readBigInt64LE(32));
  if (!Number.isSafeInteger(mtimeSeconds)) throw invalid('i_mtime', 'is no time');
  const mtimeNanoseconds = bytes.readUInt32LE(40);
  if (mtimeNanoseconds >= 1e9) throw invalid('i_mtime_nsec', 'is a second or more');
  return {
    inline,
    xattrBytes: xattrCount === 0 ? 0 : 12 + (xattrCount - 1) * 4,
    mode: bytes.readUInt16LE(4),
    sizeBytes,
    blockOrDevice: bytes.readUInt32LE(16),
    ino: bytes.readUInt32LE(20),
    uid: bytes.readUInt32LE(24),
    gid: bytes.readUInt32LE(28),
    mtimeSeconds,
    mtimeNanoseconds,
    linkCount: bytes.readUInt32LE(44),
  };
}

/** One name of a directory, as it was read. */
export interface ReadDirent {
  /** One character per byte: 1 to 255 of them, without `/` and NUL. */
  readonly name: string;
  readonly nid: number;
  /** `file_type` of the entry. */
  readonly type: number;
}

/**
 * Reads one directory block's worth of entries, as `putDirents` writes them: in the order of their bytes, each name behind the one before it.
 * @param bytes a whole block, or what a directory has of its last one.
 * @param after the last name of the block before; empty for the first.
 * @throws what `invalid` makes.
 */
export function readDirents(bytes: Buffer, after: string, invalid: InvalidField): ReadDirent[] {
  const fixedBytes = bytes.length < DIRENT_BYTES ? 0 : bytes.readUInt16LE(8);
  if (fixedBytes === 0 || fixedBytes % DIRENT_BYTES !== 0 || fixedBytes > bytes.length) throw invalid('nameoff', 'does not tell how many names there are');
  const dirents: ReadDirent[] = [];
  let last = after;
  let from = fixedBytes;
  for (let at = 0; at < fixedBytes; at += DIRENT_BYTES) {
    if (bytes.readUInt16LE(at + 8) !== from) throw invalid('nameoff', 'is not where the name before it ends');
    const isLast = at + DIRENT_BYTES === fixedBytes;
    const to = isLast ? endOfName(bytes, from) : bytes.readUInt16LE(at + DIRENT_BYTES + 8);
    if (to <= from || to > bytes.length || to - from > MAX_NAME_BYTES) throw invalid('nameoff', 'gives a name of no or too many bytes');
    const name = bytes.toString('latin1', from, to);
    if (name <= last) throw invalid('name', 'is not in order');
    if (name.includes('/') || name.includes('\0')) throw invalid('name', 'has a byte that no name has');
    if (bytes.readUInt32LE(at + 4) !== 0) throw invalid('nid', 'is too large');
    dirents.push({ name, nid: bytes.readUInt32LE(at), type: bytes.readUInt8(at + 10) });
    last = name;
    from = to;
  }
  return dirents;
}

/** `file_type` that the entries of an inode of this mode bear; undefined for types that the writer does not write. */
export function direntTypeOf(mode: number): number | undefined {
  return DIRENT_TYPES.get(mode & FILE_TYPE_MASK);
}

/** A name that ends before its block does is followed by a NUL. */
function endOfName(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(0, from);
  return end === -1 ? bytes.length : end;
}
