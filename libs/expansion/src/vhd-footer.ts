/** Bytes of a VHD footer, which ends a fixed disk image. */
export const VHD_FOOTER_BYTES = 512;

const SECTOR_BYTES = 512;
/** The largest geometry that the format can express, in sectors. */
const MAX_CHS_SECTORS = 65_535 * 16 * 255;

/**
 * The footer that makes a raw disk of `diskBytes` a fixed VHD ("Virtual Hard Disk Image Format Specification", version 1.0,
 * section "Hard Disk Footer Format"). Numbers are big-endian. The time stamp is 0 (2000-01-01): the file is the same whenever it is made.
 *
 * | offset | bytes | field              | value |
 * |-------:|------:|--------------------|-------|
 * |      0 |     8 | cookie             | `conectix` |
 * |      8 |     4 | features           | 2 (reserved bit, always set) |
 * |     12 |     4 | file format version| 0x00010000 |
 * |     16 |     8 | data offset        | all ones: a fixed disk |
 * |     24 |     4 | time stamp         | 0 |
 * |     28 |     4 | creator application| `win `: readers that know other creators take the size from the geometry, which is rounded down |
 * |     32 |     4 | creator version    | 0x00010000 |
 * |     36 |     4 | creator host OS    | `Wi2k` |
 * |     40 |     8 | original size      | disk bytes |
 * |     48 |     8 | current size       | disk bytes |
 * |     56 |     4 | disk geometry      | cylinders (2), heads (1), sectors a track (1) |
 * |     60 |     4 | disk type          | 2: fixed |
 * |     64 |     4 | checksum           | one's complement of the sum of all bytes, this field taken as 0 |
 * |     68 |    16 | unique id          | given |
 * |     84 |     1 | saved state        | 0 |
 * |     85 |   427 | reserved           | 0 |
 *
 * @param diskBytes a multiple of 512.
 * @param uniqueId 16 bytes.
 */
export function vhdFooter(diskBytes: number, uniqueId: Uint8Array): Buffer {
  const footer = Buffer.alloc(VHD_FOOTER_BYTES);
  footer.write('conectix', 0, 'latin1');
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x0001_0000, 12);
  footer.fill(0xff, 16, 24);
  footer.write('win ', 28, 'latin1');
  footer.writeUInt32BE(0x0001_0000, 32);
  footer.write('Wi2k', 36, 'latin1');
  footer.writeBigUInt64BE(BigInt(diskBytes), 40);
  footer.writeBigUInt64BE(BigInt(diskBytes), 48);
  const { cylinders, heads, sectorsPerTrack } = geometryOf(diskBytes / SECTOR_BYTES);
  footer.writeUInt16BE(cylinders, 56);
  footer.writeUInt8(heads, 58);
  footer.writeUInt8(sectorsPerTrack, 59);
  footer.writeUInt32BE(2, 60);
  footer.set(uniqueId, 68);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
  return footer;
}

/** The specification's appendix "CHS Calculation". */
function geometryOf(diskSectors: number): { readonly cylinders: number; readonly heads: number; readonly sectorsPerTrack: number } {
  const sectors = Math.min(diskSectors, MAX_CHS_SECTORS);
  if (sectors >= 65_535 * 16 * 63) return { cylinders: Math.floor(sectors / (16 * 255)), heads: 16, sectorsPerTrack: 255 };
  let sectorsPerTrack = 17;
  let tracks = Math.floor(sectors / sectorsPerTrack);
  let heads = Math.max(Math.floor((tracks + 1023) / 1024), 4);
  if (tracks >= heads * 1024 || heads > 16) {
    sectorsPerTrack = 31;
    heads = 16;
    tracks = Math.floor(sectors / sectorsPerTrack);
  }
  if (tracks >= heads * 1024) {
    sectorsPerTrack = 63;
    heads = 16;
    tracks = Math.floor(sectors / sectorsPerTrack);
  }
  return { cylinders: Math.floor(tracks / heads), heads, sectorsPerTrack };
}
