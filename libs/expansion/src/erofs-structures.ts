/**
 * The on-disk structures of EROFS that the writer uses: uncompressed, 4 KiB blocks, readable by Linux 5.15 and newer. All numbers are
 * little-endian. Sources: `fs/erofs/erofs_fs.h` (names of structures and fields), `Documentation/filesystems/erofs.rst`,
 * and the core on-disk format on erofs.docs.kernel.org.
 */

/** Bytes of a block: every file's data starts at a multiple of it (`blkszbits` 12). */
export const BLOCK_BYTES = 4096;
/** Where the superblock starts (`EROFS_SUPER_OFFSET`). */
export const SUPERBLOCK_OFFSET = 1024;
/** Bytes of the superblock without extension slots. */
export const SUPERBLOCK_BYTES = 128;
/** Bytes between two node numbers: inode `nid` stands at `meta_blkaddr` × block + nid × this. */
export const NID_BYTES = 32;
/** Bytes of an extended inode (`struct erofs_inode_extended`). */
export const INODE_BYTES = 64;
/** Bytes of a directory entry without its name (`struct erofs_dirent`). */
export const DIRENT_BYTES = 12;

/** Bits of `mode` that give the type of a file, and their values (inode(7)). */
export const FILE_TYPE_MASK = 0o170000;
/** Type bits of a mode, by the name of the type. */
export const FILE_TYPE = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  regular: 0o100000,
  symlink: 0o120000,
} as const;

/** `file_type` of a directory entry (`EROFS_FT_*`), by the type bits of the inode's mode. */
export const DIRENT_TYPES: ReadonlyMap<number, number> = new Map<number, number>([
  [FILE_TYPE.regular, 1],
  [FILE_TYPE.directory, 2],
  [FILE_TYPE.character, 3],
  [FILE_TYPE.block, 4],
  [FILE_TYPE.fifo, 5],
  [FILE_TYPE.symlink, 7],
]);

/** `EROFS_SUPER_MAGIC_V1`. */
export const MAGIC = 0xe0f5e1e2;
/** `EROFS_FEATURE_COMPAT_SB_CHKSUM | EROFS_FEATURE_COMPAT_MTIME`: the checksum is there, and inode times are modification times. */
export const FEATURE_COMPAT = 0x3;
/** `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: Linux 5.16 and newer. */
const FEATURE_DEVICE_TABLE = 0x8;
/** `blkszbits`. */
export const BLOCK_BITS = 12;
/** Bytes of an entry of the device table (`struct erofs_deviceslot`). */
export const DEVICE_SLOT_BYTES = 128;

/** What differs between superblocks. */
export interface Superblock {
  /** Node number of the root directory, 16 bits wide. */
  readonly rootNid: number;
  /** How many inodes there are. */
  readonly inodeCount: number;
  /** Blocks of the whole filesystem. */
  readonly blockCount: number;
  /** First block of the inodes. */
  readonly metaBlock: number;
  /** First block of the shared extended attributes; 0 without any. */
  readonly xattrBlock: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** Further devices that hold contents of files, and the block where their table begins, 1 to 2,047; absent without any. */
  readonly devices?: { readonly count: number; readonly tableBlock: number };
}

/**
 * Writes the superblock into the filesystem's first block, which is otherwise zero, and its checksum over it.
 *
 * | offset | bytes | field            | value |
 * |-------:|------:|------------------|-------|
 * |      0 |     4 | magic            | 0xE0F5E1E2 |
 * |      4 |     4 | checksum         | CRC-32C, seed and result not inverted at the end, from here to the end of the block, with this field 0 |
 * |      8 |     4 | feature_compat   | 3 |
 * |     12 |     1 | blkszbits        | 12 |
 * |     13 |     1 | sb_extslots      | 0 |
 * |     14 |     2 | root_nid         | |
 * |     16 |     8 | inos             | |
 * |     24 |    12 | epoch, fixed_nsec| 0: only compact inodes use them |
 * |     36 |     4 | blocks           | |
 * |     40 |     4 | meta_blkaddr     | |
 * |     44 |     4 | xattr_blkaddr    | |
 * |     48 |    16 | uuid             | |
 * |     64 |    16 | volume_name      | 0 |
 * |     80 |     4 | feature_incompat | 0, with further devices 8 |
 * |     84 |     2 | u1               | 0: no compression |
 * |     86 |     2 | extra_devices    | |
 * |     88 |     2 | devt_slotoff     | where the table begins, in slots of 128 bytes |
 * |     90 |    38 | the rest         | 0 |
 */
export function putSuperblock(firstBlock: Buffer, superblock: Superblock): void {
  const sb = firstBlock.subarray(SUPERBLOCK_OFFSET, BLOCK_BYTES).fill(0);
  sb.writeUInt32LE(MAGIC, 0);
  sb.writeUInt32LE(FEATURE_COMPAT, 8);
  sb.writeUInt8(BLOCK_BITS, 12);
  sb.writeUInt16LE(superblock.rootNid, 14);
  sb.writeBigUInt64LE(BigInt(superblock.inodeCount), 16);
  sb.writeUInt32LE(superblock.blockCount, 36);
  sb.writeUInt32LE(superblock.metaBlock, 40);
  sb.writeUInt32LE(superblock.xattrBlock, 44);
  sb.set(superblock.uuid, 48);
  if (superblock.devices !== undefined) {
    sb.writeUInt32LE(FEATURE_DEVICE_TABLE, 80);
    sb.writeUInt16LE(superblock.devices.count, 86);
    sb.writeUInt16LE((superblock.devices.tableBlock * BLOCK_BYTES) / DEVICE_SLOT_BYTES, 88);
  }
  sb.writeUInt32LE(crc32c(sb), 4);
}

/** A device that holds contents of files. */
export interface ErofsDevice {
  /** Tells which it is: up to 64 characters, such as a sha256 in hexadecimal digits. */
  readonly tag: string;
  /** Blocks of it that count. */
  readonly blockCount: number;
}

/**
 * Writes an entry of the device table at `at`. The addresses of all devices are one space: a file's first block tells its device as well.
 *
 * | offset | bytes | field of `erofs_deviceslot` |
 * |-------:|------:|-----------------------------|
 * |      0 |    64 | tag                         |
 * |     64 |     4 | blocks                      |
 * |     68 |     4 | uniaddr: the address of the device's first block |
 * |     72 |    56 | 0                           |
 */
export function putDeviceSlot(to: Buffer, at: number, device: ErofsDevice & { readonly firstBlock: number }): void {
  to.write(device.tag, at, 64, 'latin1');
  to.writeUInt32LE(device.blockCount, at + 64);
  to.writeUInt32LE(device.firstBlock, at + 68);
}

/** What an inode says. */
export interface Inode {
  /** True where the data stands behind the inode and its attributes (`EROFS_INODE_FLAT_INLINE`), false where it starts at a block. */
  readonly inline: boolean;
  /** Bytes of the inline attributes behind the inode: 0, or 12 and more. */
  readonly xattrBytes: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** First block of the data, or the device number in {@link encodeDevice}'s form. */
  readonly blockOrDevice: number;
  /** A number for programs with 32-bit inode numbers; unique. */
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, also negative. */
  readonly mtimeSeconds: number;
  /** 0 to 999,999,999, counted forward from `mtimeSeconds`. */
  readonly mtimeNanoseconds: number;
  readonly linkCount: number;
}

/**
 * Writes an extended inode at `at`.
 *
 * | offset | bytes | field          |
 * |-------:|------:|----------------|
 * |      0 |     2 | i_format: bit 0 = 1 (extended), bits 1–3 = layout (0 plain, 2 inline) |
 * |      2 |     2 | i_xattr_icount: 0, or (xattr bytes − 12) / 4 + 1 |
 * |      4 |     2 | i_mode         |
 * |      6 |     2 | reserved       |
 * |      8 |     8 | i_size         |
 * |     16 |     4 | i_u: first block or device number |
 * |     20 |     4 | i_ino          |
 * |     24 |     8 | i_uid, i_gid   |
 * |     32 |     8 | i_mtime        |
 * |     40 |     4 | i_mtime_nsec   |
 * |     44 |     4 | i_nlink        |
 * |     48 |    16 | reserved       |
 */
export function putInode(to: Buffer, at: number, inode: Inode): void {
  to.writeUInt16LE(1 | ((inode.inline ? 2 : 0) << 1), at);
  to.writeUInt16LE(inode.xattrBytes === 0 ? 0 : (inode.xattrBytes - 12) / 4 + 1, at + 2);
  to.writeUInt16LE(inode.mode, at + 4);
  to.writeUInt32LE(inode.sizeBytes % 2 ** 32, at + 8);
  to.writeUInt32LE(Math.floor(inode.sizeBytes / 2 ** 32), at + 12);
  to.writeUInt32LE(inode.blockOrDevice, at + 16);
  to.writeUInt32LE(inode.ino, at + 20);
  to.writeUInt32LE(inode.uid, at + 24);
  to.writeUInt32LE(inode.gid, at + 28);
  to.writeBigInt64LE(BigInt(inode.mtimeSeconds), at + 32);
  to.writeUInt32LE(inode.mtimeNanoseconds, at + 40);
  to.writeUInt32LE(inode.linkCount, at + 44);
}

/** One name of a directory. */
export interface Dirent {
  /** One character per byte. */
  readonly name: string;
  readonly nid: number;
  /** The mode of what it names. */
  readonly mode: number;
}

/**
 * Writes one directory block's worth of entries at the start of `to`: the fixed parts in order, then the names in the same order.
 * The caller gives them sorted by their bytes, and no more than fit a block.
 *
 * | offset | bytes | field of `erofs_dirent` |
 * |-------:|------:|-------------------------|
 * |      0 |     8 | nid                     |
 * |      8 |     2 | nameoff: from the start of the block |
 * |     10 |     1 | file_type               |
 * |     11 |     1 | reserved                |
 */
export function putDirents(to: Buffer, dirents: readonly Dirent[]): void {
  let fixed = 0;
  let nameOffset = dirents.length * DIRENT_BYTES;
  for (const { name, nid, mode } of dirents) {
    to.writeUInt32LE(nid, fixed);
    to.writeUInt16LE(nameOffset, fixed + 8);
    to.writeUInt8(DIRENT_TYPES.get(mode & FILE_TYPE_MASK) ?? 0, fixed + 10);
    to.write(name, nameOffset, 'latin1');
    fixed += DIRENT_BYTES;
    nameOffset += name.length;
  }
}

/** Linux's 32-bit form of a device number (`new_encode_dev`): 12 bits of major, 20 of minor. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

const CRC32C_TABLE = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** The superblock's checksum: CRC-32C (polynomial 0x1EDC6F41, reflected) of `bytes`, its result not inverted. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC32C_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}
