import { encodeXattrs, HEADER_BYTES, MAX_INLINE_BYTES, NO_XATTRS, readXattrEntry, type XattrSet } from './erofs-xattrs.js';
import { refuseSize } from './expansion-error.js';
import type { InvalidField } from './read-erofs-structures.js';

/** What overlayfs steers by; a layer holds no other name of these. */
const OVERLAY_NAMES = ['trusted.overlay.', 'user.overlay.'];
const OPAQUE_NAME = 'trusted.overlay.opaque';
/** Of directories with whiteouts; without a value. */
const ORIGIN_NAME = 'trusted.overlay.origin';
/** Bytes of an entry before its name and value. */
const ENTRY_BYTES = 4;

/** The attributes of an inode, as they were read. */
export interface ReadXattrs {
  /** Without overlayfs's marks. */
  readonly set: XattrSet;
  readonly isOpaque: boolean;
}

/** Where the shared attributes stand. */
export interface SharedXattrSource {
  /** Bytes of the area, or more: up to where something else certainly begins. */
  readonly sizeBytes: number;
  /** Bytes of the area, from its start. */
  read(offset: number, length: number): Promise<Buffer>;
}

const NONE: ReadXattrs = { set: NO_XATTRS, isOpaque: false };

/**
 * Reads the attributes of inodes in the order of the inodes. Equal areas are decoded once; the writer gives shared attributes their places in the order
 * in which inodes first have them, so their area is read forward, once.
 */
export class XattrReader {
  readonly #shared: SharedXattrSource;
  readonly #invalid: InvalidField;
  readonly #maxNameBytes: number;
  readonly #known = new Map<string, ReadXattrs>();
  readonly #sharedEntries = new Map<number, Buffer>();
  #nextShared = 0;
  #bytes = 0;

  /** @param maxNameBytes `ExpansionLimits.maxNameBytes`. */
  constructor(shared: SharedXattrSource, maxNameBytes: number, invalid: InvalidField) {
    this.#shared = shared;
    this.#maxNameBytes = maxNameBytes;
    this.#invalid = invalid;
  }

  /** @param area what stands behind an inode. @throws what `invalid` makes; {@link ExpansionError} `TOO_LARGE`. */
  async read(area: Buffer): Promise<ReadXattrs> {
    if (area.length === 0) return NONE;
    const key = area.toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#count(area.length);
    const decoded = await this.#decode(area);
    this.#known.set(key, decoded);
    return decoded;
  }

  async #decode(area: Buffer): Promise<ReadXattrs> {
    if (area.length > MAX_INLINE_BYTES) throw this.#invalid('i_xattr_icount', 'is too large');
    const values = new Map<string, Buffer>();
    const take = (name: string, value: Buffer): void => {
      if (values.has(name)) throw this.#invalid('xattr', 'comes twice');
      values.set(name, value);
    };
    let at = HEADER_BYTES + 4 * area.readUInt8(4);
    if (at > area.length) throw this.#invalid('h_shared_count', 'is too large');
    for (let id = HEADER_BYTES; id < at; id += 4) {
      const { name, value } = this.#entry(await this.#sharedEntry(area.readUInt32LE(id)), 0);
      take(name, value);
    }
    while (at < area.length) {
      const { name, value, endsAt } = this.#entry(area, at);
      take(name, value);
      at = endsAt;
    }
    const isOpaque = values.get(OPAQUE_NAME)?.toString('latin1') === 'y';
    if (isOpaque) values.delete(OPAQUE_NAME);
    if (values.get(ORIGIN_NAME)?.length === 0) values.delete(ORIGIN_NAME);
    if ([...values.keys()].some((name) => OVERLAY_NAMES.some((prefix) => name.startsWith(prefix)))) throw this.#invalid('xattr', 'is overlayfs’s');
    const set = encodeXattrs(values);
    if (set === undefined) throw this.#invalid('xattr', 'does not fit');
    return { set, isOpaque };
  }

  #entry(bytes: Buffer, at: number): { readonly name: string; readonly value: Buffer; readonly endsAt: number } {
    const entry = readXattrEntry(bytes, at);
    if (entry === undefined) throw this.#invalid('xattr', 'is malformed');
    return entry;
  }

  async #sharedEntry(id: number): Promise<Buffer> {
    const offset = id * 4;
    const known = this.#sharedEntries.get(offset);
    if (known !== undefined) return known;
    if (offset !== this.#nextShared || offset + ENTRY_BYTES > this.#shared.sizeBytes) throw this.#invalid('shared xattr', 'does not follow those before it');
    const head = await this.#shared.read(offset, ENTRY_BYTES);
    const length = Math.ceil((ENTRY_BYTES + head.readUInt8(0) + head.readUInt16LE(2)) / 4) * 4;
    if (offset + length > this.#shared.sizeBytes) throw this.#invalid('shared xattr', 'reaches out of its area');
    this.#count(length);
    const entry = Buffer.from(await this.#shared.read(offset, length));
    this.#sharedEntries.set(offset, entry);
    this.#nextShared = offset + length;
    return entry;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    // Twice: what stands behind inodes has headers and overlayfs's marks besides.
    if (this.#bytes > 2 * this.#maxNameBytes) throw refuseSize('maxNameBytes', this.#maxNameBytes);
  }
}
