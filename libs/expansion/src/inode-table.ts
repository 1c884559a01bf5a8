import { NO_XATTRS, RepeatedXattrs, type XattrSet } from './erofs-xattrs.js';
import { Turns } from './turns.js';

/** What a tar entry says of a file besides its name and contents. */
export interface Attributes {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, also negative. */
  readonly mtimeSeconds: number;
  /** 0 to 999,999,999, counted forward from `mtimeSeconds`. */
  readonly mtimeNanoseconds: number;
  readonly xattrs: XattrSet;
}

const FIRST_CAPACITY = 1024;
/** What a distinct set of attributes, and each attribute in it, takes in memory besides its bytes, which are held twice: as measured, rounded up. */
const SET_BYTES = 256;
const ATTRIBUTE_BYTES = 256;

/**
 * All inodes of one filesystem as columns: about 40 bytes for each, whatever the layer holds. An inode is its index; the first is the root.
 * Equal sets of extended attributes are kept once.
 */
export class InodeTable {
  #count = 0;
  #modes = new Uint16Array(FIRST_CAPACITY);
  #uids = new Uint32Array(FIRST_CAPACITY);
  #gids = new Uint32Array(FIRST_CAPACITY);
  #mtimeSeconds = new Float64Array(FIRST_CAPACITY);
  #mtimeNanoseconds = new Uint32Array(FIRST_CAPACITY);
  #sizes = new Float64Array(FIRST_CAPACITY);
  #blocksOrDevices = new Uint32Array(FIRST_CAPACITY);
  #xattrSets = new Uint32Array(FIRST_CAPACITY);
  readonly #sets: XattrSet[] = [NO_XATTRS];
  readonly #setNumbers = new Map<string, number>([['', 0]]);

  #xattrBytes = 0;

  /** Bytes of memory that all distinct sets of extended attributes take that were ever set, about. */
  get xattrBytes(): number {
    return this.#xattrBytes;
  }

  /** How many inodes were ever added. */
  get count(): number {
    return this.#count;
  }

  /** Adds an inode with no contents. @returns its index. */
  add(attributes: Attributes): number {
    const inode = this.#count;
    if (inode === this.#modes.length) this.#grow();
    this.#count += 1;
    this.setAttributes(inode, attributes);
    return inode;
  }

  /** Replaces the attributes of an inode. */
  setAttributes(inode: number, attributes: Attributes): void {
    this.#modes[inode] = attributes.mode;
    this.#uids[inode] = attributes.uid;
    this.#gids[inode] = attributes.gid;
    this.#mtimeSeconds[inode] = attributes.mtimeSeconds;
    this.#mtimeNanoseconds[inode] = attributes.mtimeNanoseconds;
    this.#xattrSets[inode] = this.#numberOf(attributes.xattrs);
  }

  /** Says where the contents are: for a file its length and first block, for a device its number. */
  setContents(inode: number, sizeBytes: number, blockOrDevice: number): void {
    this.#sizes[inode] = sizeBytes;
    this.#blocksOrDevices[inode] = blockOrDevice;
  }

  /** Type and permission bits. */
  mode(inode: number): number {
    return this.#modes[inode]!;
  }

  /** The first block of a file's contents, or the number of a device. */
  blockOrDevice(inode: number): number {
    return this.#blocksOrDevices[inode]!;
  }

  /** Everything said of an inode. */
  read(inode: number): Attributes & { readonly sizeBytes: number; readonly blockOrDevice: number } {
    return {
      mode: this.#modes[inode]!,
      uid: this.#uids[inode]!,
      gid: this.#gids[inode]!,
      mtimeSeconds: this.#mtimeSeconds[inode]!,
      mtimeNanoseconds: this.#mtimeNanoseconds[inode]!,
      xattrs: this.xattrs(inode),
      sizeBytes: this.#sizes[inode]!,
      blockOrDevice: this.#blocksOrDevices[inode]!,
    };
  }

  /** The extended attributes of an inode. */
  xattrs(inode: number): XattrSet {
    return this.#sets[this.#xattrSets[inode]!]!;
  }

  /** Has every attribute that more than one inode has stand once for all of them. Nothing is added from the call on; others have their turn in between. */
  async shareRepeatedXattrs(): Promise<void> {
    const repeated = new RepeatedXattrs();
    const turns = new Turns();
    for (let inode = 0; inode < this.#count; inode += 1) {
      repeated.count(this.xattrs(inode));
      if (turns.isDue()) await turns.others();
    }
    for (const [number, set] of this.#sets.entries()) {
      this.#sets[number] = repeated.shared(set);
      if (turns.isDue()) await turns.others();
    }
  }

  #numberOf(set: XattrSet): number {
    const key = set.entries.map((entry) => entry.bytes.toString('latin1')).join('');
    const known = this.#setNumbers.get(key);
    if (known !== undefined) return known;
    this.#setNumbers.set(key, this.#sets.length);
    this.#xattrBytes += SET_BYTES + set.entries.length * ATTRIBUTE_BYTES + 2 * key.length;
    return this.#sets.push(set) - 1;
  }

  #grow(): void {
    const capacity = this.#modes.length * 2;
    this.#modes = grown(this.#modes, new Uint16Array(capacity));
    this.#uids = grown(this.#uids, new Uint32Array(capacity));
    this.#gids = grown(this.#gids, new Uint32Array(capacity));
    this.#mtimeSeconds = grown(this.#mtimeSeconds, new Float64Array(capacity));
    this.#mtimeNanoseconds = grown(this.#mtimeNanoseconds, new Uint32Array(capacity));
    this.#sizes = grown(this.#sizes, new Float64Array(capacity));
    this.#blocksOrDevices = grown(this.#blocksOrDevices, new Uint32Array(capacity));
    this.#xattrSets = grown(this.#xattrSets, new Uint32Array(capacity));
  }
}

function grown<Column extends Uint16Array | Uint32Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
