/** Bytes of `struct erofs_xattr_ibody_header`, which stands before an inode's own attributes. */
export const HEADER_BYTES = 12;
/** Bytes of `struct erofs_xattr_entry` before its name. */
const ENTRY_BYTES = 4;
/** Most shared attributes of one inode: `h_shared_count` is one byte. */
const MAX_SHARED = 255;
/** Largest inline area: kernels before 6.4 keep its size in 16 bits. */
export const MAX_INLINE_BYTES = 65_535;
/** What overlayfs's marks of one directory take together, 20 bytes each: a layer's own attributes leave room for both. */
const OVERLAY_MARKS_BYTES = 40;
/** A value longer than this goes to the shared area, so that inodes stay close together and 64 KiB values fit older kernels. */
const MAX_INLINE_VALUE_BYTES = 1024;
/** Largest value: `e_value_size` has 16 bits; Linux's own limit is 65,536. */
const MAX_VALUE_BYTES = 65_535;

/** `EROFS_XATTR_INDEX_*`: the part of a name that is stored as a number. The two ACL names are stored whole that way. */
const PREFIXES: readonly (readonly [prefix: string, index: number, whole: boolean])[] = [
  ['user.', 1, false],
  ['system.posix_acl_access', 2, true],
  ['system.posix_acl_default', 3, true],
  ['trusted.', 4, false],
  ['security.', 6, false],
];

/** One attribute in its on-disk form, still without a place. */
interface EncodedXattr {
  readonly bytes: Buffer;
  readonly shared: boolean;
}

/** The attributes of one inode, or of many that have the same ones. */
export interface XattrSet {
  /** Bytes that stand behind the inode, a multiple of 4; 0 without attributes. */
  readonly inlineBytes: number;
  readonly entries: readonly EncodedXattr[];
}

/** No attributes. */
export const NO_XATTRS: XattrSet = { inlineBytes: 0, entries: [] };

/** True for a name that Linux can hold on EROFS; other namespaces are dropped by extraction tools too (`EOPNOTSUPP`). */
export function isStorableXattr(name: string): boolean {
  return splitName(name) !== undefined;
}

/**
 * Encodes attributes, in the order of their names.
 *
 * | offset | bytes | field of `erofs_xattr_entry` |
 * |-------:|------:|------------------------------|
 * |      0 |     1 | e_name_len                   |
 * |      1 |     1 | e_name_index                 |
 * |      2 |     2 | e_value_size                 |
 * |      4 |       | name, value, zeros to a multiple of 4 |
 *
 * @param xattrs by full name, one character per byte; every name is {@link isStorableXattr}.
 * @returns undefined when they do not fit: a name over 255 bytes, a value over 65,535, or too many together.
 */
export function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>): XattrSet | undefined {
  const entries: EncodedXattr[] = [];
  let inlineBytes = HEADER_BYTES;
  let sharedCount = 0;
  for (const name of [...xattrs.keys()].sort()) {
    const value = xattrs.get(name)!;
    const split = splitName(name);
    if (split === undefined || split.rest.length > 255 || value.length > MAX_VALUE_BYTES) return undefined;
    const bytes = Buffer.alloc(Math.ceil((ENTRY_BYTES + split.rest.length + value.length) / 4) * 4);
    bytes.writeUInt8(split.rest.length, 0);
    bytes.writeUInt8(split.index, 1);
    bytes.writeUInt16LE(value.length, 2);
    bytes.write(split.rest, ENTRY_BYTES, 'latin1');
    bytes.set(value, ENTRY_BYTES + split.rest.length);
    const shared = value.length > MAX_INLINE_VALUE_BYTES && sharedCount < MAX_SHARED;
    if (shared) sharedCount += 1;
    inlineBytes += shared ? 4 : bytes.length;
    entries.push({ bytes, shared });
  }
  if (entries.length === 0) return NO_XATTRS;
  return inlineBytes > MAX_INLINE_BYTES - OVERLAY_MARKS_BYTES ? undefined : { inlineBytes, entries };
}

/** Reads one entry of {@link encodeXattrs}'s form; undefined when it is none, or does not end within `bytes`. The value is a view of them. */
export function readXattrEntry(bytes: Buffer, at: number): { readonly name: string; readonly value: Buffer; readonly endsAt: number } | undefined {
  if (at + ENTRY_BYTES > bytes.length) return undefined;
  const nameLength = bytes.readUInt8(at);
  const index = bytes.readUInt8(at + 1);
  const valueAt = at + ENTRY_BYTES + nameLength;
  const valueEnd = valueAt + bytes.readUInt16LE(at + 2);
  const endsAt = at + Math.ceil((valueEnd - at) / 4) * 4;
  const prefix = PREFIXES.find(([, number, whole]) => number === index && whole === (nameLength === 0));
  if (prefix === undefined || endsAt > bytes.length) return undefined;
  return { name: prefix[0] + bytes.toString('latin1', valueAt - nameLength, valueAt), value: bytes.subarray(valueAt, valueEnd), endsAt };
}

/** Finds the attributes that several inodes have, and moves them to the shared area: so each stands once, and inodes stay close together. */
export class RepeatedXattrs {
  readonly #counts = new Map<Buffer, number>();
  readonly #entries = new Map<string, Buffer>();
  readonly #keys = new Map<Buffer, Buffer>();

  /** Counts the attributes of one inode. */
  count(set: XattrSet): void {
    for (const { bytes } of set.entries) {
      const same = this.#sameAs(bytes);
      this.#counts.set(same, (this.#counts.get(same) ?? 0) + 1);
    }
  }

  /** The set with every attribute shared that was counted more than once, as far as the format allows. */
  shared(set: XattrSet): XattrSet {
    let sharedCount = set.entries.filter((entry) => entry.shared).length;
    let inlineBytes = HEADER_BYTES;
    const entries = set.entries.map(({ bytes, shared }) => {
      const share = shared || (sharedCount < MAX_SHARED && this.#counts.get(this.#sameAs(bytes))! > 1);
      if (share && !shared) sharedCount += 1;
      inlineBytes += share ? 4 : bytes.length;
      return { bytes, shared: share };
    });
    return entries.length === 0 ? NO_XATTRS : { inlineBytes, entries };
  }

  /** One of the equal entries, always the same one. Inodes with equal sets have them from one place, so this seldom compares. */
  #sameAs(bytes: Buffer): Buffer {
    let same = this.#keys.get(bytes);
    if (same === undefined) {
      const key = bytes.toString('latin1');
      same = this.#entries.get(key) ?? bytes;
      this.#entries.set(key, same);
      this.#keys.set(bytes, same);
    }
    return same;
  }
}

/**
 * The area of attributes that stand once for all inodes that have them: values too long to stand inline.
 * An inode refers to one by its offset in the area divided by 4.
 */
export class SharedXattrArea {
  readonly #ids = new Map<string, number>();
  readonly #entries: Buffer[] = [];
  #sizeBytes = 0;

  /** Gives every shared entry of `set` its place. */
  add(set: XattrSet): void {
    for (const { bytes, shared } of set.entries) {
      if (!shared) continue;
      const key = bytes.toString('latin1');
      if (this.#ids.has(key)) continue;
      this.#ids.set(key, this.#sizeBytes / 4);
      this.#entries.push(bytes);
      this.#sizeBytes += bytes.length;
    }
  }

  /** The entries in the order of their places. */
  get entries(): readonly Buffer[] {
    return this.#entries;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Writes what stands behind an inode at `at`: `set.inlineBytes` bytes.
   *
   * | offset | bytes | field of `erofs_xattr_ibody_header` |
   * |-------:|------:|-------------------------------------|
   * |      0 |     4 | h_name_filter: 0, no name is ruled out |
   * |      4 |     1 | h_shared_count                      |
   * |      5 |     7 | reserved                            |
   * |     12 | 4 × n | ids of the shared ones, then the inline entries |
   */
  putInline(to: Buffer, at: number, set: XattrSet): void {
    if (set.inlineBytes === 0) return;
    const shared = set.entries.filter((entry) => entry.shared);
    to.fill(0, at, at + HEADER_BYTES);
    to.writeUInt8(shared.length, at + 4);
    let next = at + HEADER_BYTES;
    for (const { bytes } of shared) next = to.writeUInt32LE(this.#ids.get(bytes.toString('latin1'))!, next);
    for (const { bytes, shared: elsewhere } of set.entries) {
      if (!elsewhere) next += bytes.copy(to, next);
    }
  }
}

function splitName(name: string): { readonly index: number; readonly rest: string } | undefined {
  for (const [prefix, index, whole] of PREFIXES) {
    if (whole ? name === prefix : name.startsWith(prefix) && name.length > prefix.length) return { index, rest: name.slice(prefix.length) };
  }
  return undefined;
}
