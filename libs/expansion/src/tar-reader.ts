import { refuseEntry, refuseSize } from './expansion-error.js';
import { MAX_EXTENSION_BYTES } from './expansion-limits.js';
import { type PaxRecords, paxInteger, paxText, paxTime, paxXattrs, readGlobalRecords, readPaxRecords } from './pax-records.js';
import { SparseFile } from './sparse-file.js';
import type { TarEntry, TarEntryKind, TarSink } from './tar-entry.js';
import { isZeroBlock, readTarHeader, refuseTar, TAR_BLOCK_BYTES, TAR_TYPE, type TarHeader } from './tar-header.js';

const KINDS: ReadonlyMap<string, TarEntryKind> = new Map<string, TarEntryKind>([
  [TAR_TYPE.regular, 'file'],
  [TAR_TYPE.regularV7, 'file'],
  [TAR_TYPE.contiguous, 'file'],
  [TAR_TYPE.gnuSparse, 'file'],
  [TAR_TYPE.hardLink, 'hardLink'],
  [TAR_TYPE.symlink, 'symlink'],
  [TAR_TYPE.character, 'character'],
  [TAR_TYPE.block, 'block'],
  [TAR_TYPE.directory, 'directory'],
  [TAR_TYPE.fifo, 'fifo'],
]);
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
/** The largest owner that Linux has: the next one means "no change" to chown(2). */
const MAX_ID = 0xffff_fffe;

/** What the bytes that come next are. */
type State = 'header' | 'sparseHeader' | 'sparseMap' | 'extension' | 'contents' | 'padding' | 'ended';

/**
 * Reads a tar as it arrives: v7, ustar, pax with global and local headers, GNU long names, base-256 numbers and sparse files. Entries and
 * contents go to the sink at once; nothing is kept but the headers of the entry under way.
 *
 * Two blocks of zeros end the tar, or its last byte does; what follows them is not read. Types other than files have no contents,
 * whatever their size says, as in Go's archive/tar. Unknown types are refused.
 *
 * ```
 * header ──x g L K──▶ extension ──▶ padding ──▶ header
 *   │─────file──────▶ contents  ──▶ padding ──▶ header
 *   │─sparse──▶ sparseHeader … or sparseMap … ──▶ contents
 *   └──two zero blocks──▶ ended
 * ```
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #partialHeader = Buffer.alloc(TAR_BLOCK_BYTES);
  readonly #globalRecords: PaxRecords = new Map();
  #headerFilled = 0;
  #state: State = 'header';
  #left = 0;
  #paddingBytes = 0;
  #zeroBlocks = 0;
  #extensionType = '';
  #extension = Buffer.alloc(0);
  #localRecords: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #entryPath = '';
  #sparse: SparseFile | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** The entry under way, or the last one; empty before the first. */
  get entryPath(): string {
    return this.#entryPath;
  }

  /** Takes the next bytes. @throws {ExpansionError} for what is malformed or not supported, and what the sink throws. */
  feed(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const bytes = chunk.length - at;
      switch (this.#state) {
        case 'header':
        case 'sparseHeader':
        case 'sparseMap':
          at += this.#takeBlock(chunk, at);
          break;
        case 'contents': {
          const count = Math.min(bytes, this.#left);
          const part = chunk.subarray(at, at + count);
          if (this.#sparse === undefined) this.#sink.contents(part);
          else this.#sparse.contents(part, this.#sink);
          at += this.#take(count);
          break;
        }
        case 'extension': {
          const count = Math.min(bytes, this.#left);
          chunk.copy(this.#extension, this.#extension.length - this.#left, at, at + count);
          at += this.#take(count);
          break;
        }
        case 'padding':
          at += this.#take(Math.min(bytes, this.#left));
          break;
        case 'ended':
          return;
      }
    }
  }

  /** Says that no more bytes come. @throws {ExpansionError} `TAR_INVALID` when the tar ends inside an entry. */
  end(): void {
    const isWhole = this.#state === 'header' || this.#state === 'padding' || this.#state === 'ended';
    if (!isWhole) throw refuseEntry('TAR_INVALID', this.#entryPath, 'is cut short by the end of the tar');
    if (this.#state === 'header' && this.#headerFilled > 0) throw refuseTar('ends inside a header');
    if (this.#localRecords !== undefined || this.#longName !== undefined || this.#longLink !== undefined) throw refuseTar('ends with an extension header');
  }

  #take(count: number): number {
    this.#left -= count;
    if (this.#left === 0) this.#endPart();
    return count;
  }

  #endPart(): void {
    if (this.#state === 'contents') {
      this.#sparse?.end(this.#sink);
      this.#sparse = undefined;
      this.#sink.endContents();
    }
    if (this.#state === 'extension') this.#applyExtension();
    if (this.#state === 'padding' || this.#paddingBytes === 0) {
      this.#state = 'header';
    } else {
      this.#state = 'padding';
      this.#left = this.#paddingBytes;
    }
  }

  #takeBlock(chunk: Buffer, at: number): number {
    if (this.#headerFilled === 0 && chunk.length - at >= TAR_BLOCK_BYTES) {
      this.#readBlock(chunk.subarray(at, at + TAR_BLOCK_BYTES));
      return TAR_BLOCK_BYTES;
    }
    const count = chunk.copy(this.#partialHeader, this.#headerFilled, at);
    this.#headerFilled += count;
    if (this.#headerFilled === TAR_BLOCK_BYTES) {
      this.#headerFilled = 0;
      this.#readBlock(this.#partialHeader);
    }
    return count;
  }

  #readBlock(block: Buffer): void {
    if (this.#state === 'header') return this.#readHeader(block);
    if (this.#state === 'sparseHeader') {
      if (!this.#sparse!.takeHeader(block)) this.#beginSparseContents();
      return;
    }
    this.#left -= TAR_BLOCK_BYTES;
    if (!this.#sparse!.takeMapBlock(block)) this.#beginSparseContents();
    else if (this.#left < TAR_BLOCK_BYTES) throw refuseEntry('TAR_INVALID', this.#entryPath, 'is a sparse file whose map does not end');
  }

  #readHeader(block: Buffer): void {
    if (isZeroBlock(block)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#state = 'ended';
      return;
    }
    if (this.#zeroBlocks > 0) throw refuseTar('goes on after one block of zeros');
    const header = readTarHeader(block);
    if (header.sizeBytes < 0) throw refuseEntry('TAR_INVALID', header.path, 'has a negative size');
    switch (header.typeFlag) {
      case TAR_TYPE.paxEntry:
      case TAR_TYPE.paxGlobal:
      case TAR_TYPE.gnuLongName:
      case TAR_TYPE.gnuLongLink:
        this.#beginExtension(header);
        break;
      default:
        this.#beginEntry(header, block);
    }
  }

  #beginExtension(header: TarHeader): void {
    if (header.sizeBytes > MAX_EXTENSION_BYTES) throw refuseSize('MAX_EXTENSION_BYTES', MAX_EXTENSION_BYTES, header.path);
    this.#entryPath = header.path;
    this.#extensionType = header.typeFlag;
    this.#extension = Buffer.allocUnsafe(header.sizeBytes);
    this.#beginPart('extension', header.sizeBytes);
  }

  #applyExtension(): void {
    const bytes = this.#extension;
    if (this.#extensionType === TAR_TYPE.paxGlobal) {
      readGlobalRecords(bytes, this.#globalRecords, this.#entryPath);
    } else if (this.#extensionType === TAR_TYPE.paxEntry) {
      // A second header before the same entry takes the first one's place, as GNU tar and Go's archive/tar have it.
      this.#localRecords = new Map(this.#globalRecords);
      readPaxRecords(bytes, this.#localRecords, this.#entryPath);
    } else {
      const nul = bytes.indexOf(0);
      const name = bytes.toString('latin1', 0, nul < 0 ? bytes.length : nul);
      // An empty one says nothing, as in Go's archive/tar.
      if (this.#extensionType === TAR_TYPE.gnuLongName) this.#longName = name === '' ? undefined : name;
      else this.#longLink = name === '' ? undefined : name;
    }
    this.#extension = Buffer.alloc(0);
  }

  #beginEntry(header: TarHeader, block: Buffer): void {
    const records = this.#localRecords ?? this.#globalRecords;
    const entry = this.#entryOf(header, records);
    this.#localRecords = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#entryPath = entry.path;
    const isOldSparse = header.typeFlag === TAR_TYPE.gnuSparse;
    const old = isOldSparse ? SparseFile.ofHeader(block, entry.path) : undefined;
    const pax = entry.kind === 'file' && !isOldSparse ? SparseFile.ofRecords(records, entry.path) : undefined;
    this.#sparse = old?.file ?? pax?.file;
    this.#sink.entry(this.#sparse === undefined ? entry : { ...entry, sizeBytes: this.#sparse.realSizeBytes });
    this.#left = entry.sizeBytes;
    if (old?.isExtended === true) this.#state = 'sparseHeader';
    else if (pax?.hasMapInContents === true) this.#state = 'sparseMap';
    else if (this.#sparse === undefined) this.#beginPart('contents', entry.sizeBytes);
    else this.#beginSparseContents();
  }

  /** The map is complete, and what is left of the entry is what it maps. */
  #beginSparseContents(): void {
    this.#sparse!.checkStored(this.#left);
    this.#beginPart('contents', this.#left);
  }

  #beginPart(state: State, sizeBytes: number): void {
    this.#state = state;
    this.#left = sizeBytes;
    this.#paddingBytes = (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
    if (sizeBytes === 0) this.#endPart();
  }

  #entryOf(header: TarHeader, records: PaxRecords): TarEntry {
    const path = this.#longName ?? paxText(records, 'GNU.sparse.name') ?? paxText(records, 'path') ?? header.path;
    let kind = KINDS.get(header.typeFlag);
    if (kind === undefined) throw refuseEntry('ENTRY_UNSUPPORTED', path, `has the unknown type ${JSON.stringify(header.typeFlag)}`);
    if (header.typeFlag === TAR_TYPE.regularV7 && path.endsWith('/')) kind = 'directory';
    const time = paxTime(records, path);
    const uid = paxInteger(records, 'uid', path) ?? header.uid;
    const gid = paxInteger(records, 'gid', path) ?? header.gid;
    if (uid < 0 || uid > MAX_ID || gid < 0 || gid > MAX_ID) throw refuseEntry('TAR_INVALID', path, 'has an owner or a group that Linux cannot have');
    return {
      kind,
      path,
      linkPath: kind === 'hardLink' || kind === 'symlink' ? this.#longLink ?? paxText(records, 'linkpath') ?? header.linkPath : '',
      mode: header.mode & 0o7777,
      uid,
      gid,
      sizeBytes: kind === 'file' ? paxInteger(records, 'size', path) ?? header.sizeBytes : 0,
      mtimeSeconds: time?.seconds ?? header.mtimeSeconds,
      mtimeNanoseconds: time?.nanoseconds ?? 0,
      deviceMajor: paxInteger(records, 'SCHILY.devmajor', path) ?? header.deviceMajor,
      deviceMinor: paxInteger(records, 'SCHILY.devminor', path) ?? header.deviceMinor,
      xattrs: records.size === 0 ? NO_XATTRS : paxXattrs(records),
    };
  }
}
