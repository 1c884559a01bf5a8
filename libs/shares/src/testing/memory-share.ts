import { randomUUID } from 'node:crypto';

import { type Clock, SystemClock } from '#clock';
import { TiB } from '#quantities';
import type { RegionName } from '#regions';

import { crc64Of } from '../crc64.js';
import { PIECE_BYTES } from '../layer-file.js';
import { type ByteRange, type CopySource, type Crc64, type MountSource, type RenameOptions, Share, type ShareFile, type ShareUsage } from '../share.js';
import { ShareError, type ShareErrorCode } from '../share-error.js';
import { parseSharePath } from '../share-path.js';
import { SparseBytes } from './sparse-bytes.js';

/** The methods of a share that a fault can be put before. */
export type ShareOperation =
  | 'ensureExists' | 'usage' | 'renewGrants' | 'createFile' | 'resizeFile' | 'writeRange' | 'copyRange' | 'readRange'
  | 'stat' | 'dataRanges' | 'setMetadata' | 'rename' | 'ensureFolders' | 'remove' | 'openHandles' | 'closeHandles' | 'list' | 'grantCopySource';

/** One call that a memory share is about to serve. `range` where the call has one. */
export interface ShareCall {
  readonly operation: ShareOperation;
  readonly path: string;
  readonly range?: ByteRange;
}

/** Payload bytes that a memory share moved, by who carried them. */
export interface ShareTraffic {
  /** Written from the caller's memory. */
  readonly writtenBytes: number;
  /** Read into the caller's memory. */
  readonly readBytes: number;
  /** Fetched from another share. */
  readonly copiedInBytes: number;
  /** Given to another share. */
  readonly copiedOutBytes: number;
}

/** What a memory share is made with; everything but the name has a default. */
export interface MemoryShareOptions {
  readonly name: string;
  readonly region?: RegionName;
  /** Default 1 TiB. */
  readonly capacityBytes?: number;
  /** Decides when grants end. Default the machine's clock. */
  readonly clock?: Clock;
}

interface MemoryFile {
  readonly bytes: SparseBytes;
  metadata: Readonly<Record<string, string>>;
  etag: string;
  modifiedAt: Date;
}

/** Grants name the share by its own id, so that two tests may use one name. Weak: a test's shares go with it. */
const SHARES = new Map<string, WeakRef<MemoryShare>>();

/**
 * A share in memory that keeps the whole contract: sparse files, capacity by logical size, grants that end. It counts the
 * bytes it moves, and fails when told to: `failNext` for the usual case, `before` for everything else (waiting, failing by path).
 * Memory shares of one process can copy from each other.
 */
export class MemoryShare extends Share {
  readonly name: string;
  readonly region: RegionName;
  readonly capacityBytes: number;
  readonly calls: ShareCall[] = [];
  /** Called before every operation; may wait, and what it throws is thrown. */
  before: (call: ShareCall) => void | Promise<void> = () => {};
  /** How many of the next copies get one bit flipped on the way. */
  corruptCopies = 0;
  readonly #id = randomUUID();
  readonly #clock: Clock;
  readonly #files = new Map<string, MemoryFile>();
  readonly #held = new Map<string, number>();
  readonly #faults: { operation: ShareOperation; error: ShareError }[] = [];
  #traffic: ShareTraffic = { writtenBytes: 0, readBytes: 0, copiedInBytes: 0, copiedOutBytes: 0 };
  #etagNumber = 0;

  constructor(options: MemoryShareOptions) {
    super();
    this.name = options.name;
    this.region = options.region ?? 'westeurope';
    this.capacityBytes = options.capacityBytes ?? TiB;
    this.#clock = options.clock ?? new SystemClock();
    SHARES.set(this.#id, new WeakRef(this));
  }

  /** Payload bytes moved so far. */
  get traffic(): ShareTraffic {
    return this.#traffic;
  }

  /** Logical bytes of all files. */
  get usedBytes(): number {
    return [...this.#files.values()].reduce((sum, file) => sum + file.bytes.sizeBytes, 0);
  }

  /** Every path, ascending. */
  get paths(): string[] {
    return [...this.#files.keys()].toSorted();
  }

  /** Makes the next `times` calls of `operation` fail with `code`; `transient` as the driver would judge it. */
  failNext(operation: ShareOperation, code: ShareErrorCode, options: { readonly times?: number; readonly transient?: boolean } = {}): void {
    const transient = options.transient ?? (code === 'SHARE_BUSY' || code === 'SHARE_UNAVAILABLE');
    for (let count = options.times ?? 1; count > 0; count -= 1) {
      const error = new ShareError(code, `${operation} on ${this.name} was told to fail`, { transient, details: { share: this.name } });
      this.#faults.push({ operation, error });
    }
  }

  /** Holds `path` open as a client would: it cannot be removed until the returned function is called. */
  hold(path: string): () => void {
    this.#held.set(path, (this.#held.get(path) ?? 0) + 1);
    return () => void this.#held.set(path, Math.max(0, (this.#held.get(path) ?? 1) - 1));
  }

  async ensureExists(signal?: AbortSignal): Promise<void> {
    await this.#begin({ operation: 'ensureExists', path: '' }, signal);
  }

  async usage(signal?: AbortSignal): Promise<ShareUsage | undefined> {
    await this.#begin({ operation: 'usage', path: '' }, signal);
    return { provisionedBytes: this.capacityBytes, usedBytes: this.usedBytes };
  }

  async renewGrants(): Promise<void> {
    await this.#begin({ operation: 'renewGrants', path: '' });
  }

  async createFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    parseSharePath(path);
    await this.#begin({ operation: 'createFile', path }, signal);
    this.#reserve(path, sizeBytes);
    this.#files.set(path, { bytes: new SparseBytes(sizeBytes), metadata: {}, etag: this.#nextEtag(), modifiedAt: this.#clock.now() });
  }

  async resizeFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    await this.#begin({ operation: 'resizeFile', path }, signal);
    const file = this.#file(path);
    this.#reserve(path, sizeBytes);
    file.bytes.resize(sizeBytes);
    this.#touch(file);
  }

  async writeRange(path: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const range = { offset, length: bytes.length };
    await this.#begin({ operation: 'writeRange', path, range }, signal);
    this.#write(path, range, bytes);
    this.#traffic = { ...this.#traffic, writtenBytes: this.#traffic.writtenBytes + bytes.length };
  }

  async copyRange(path: string, range: ByteRange, source: CopySource, signal?: AbortSignal): Promise<Crc64> {
    await this.#begin({ operation: 'copyRange', path, range }, signal);
    this.#checkPiece(path, range);
    const bytes = this.#readGranted(source, range);
    if (this.corruptCopies > 0) {
      this.corruptCopies -= 1;
      bytes[0]! ^= 1;
    }
    this.#write(path, range, bytes);
    this.#traffic = { ...this.#traffic, copiedInBytes: this.#traffic.copiedInBytes + bytes.length };
    return crc64Of(bytes);
  }

  async readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer> {
    await this.#begin({ operation: 'readRange', path, range }, signal);
    const file = this.#file(path);
    this.#checkWithin(path, file, range);
    this.#traffic = { ...this.#traffic, readBytes: this.#traffic.readBytes + range.length };
    return file.bytes.read(range);
  }

  async stat(path: string, signal?: AbortSignal): Promise<ShareFile | undefined> {
    await this.#begin({ operation: 'stat', path }, signal);
    const file = this.#files.get(path);
    return file === undefined ? undefined : { path, sizeBytes: file.bytes.sizeBytes, etag: file.etag, modifiedAt: file.modifiedAt, toldAt: this.#clock.now(), metadata: file.metadata };
  }

  async dataRanges(path: string, signal?: AbortSignal): Promise<ByteRange[]> {
    await this.#begin({ operation: 'dataRanges', path }, signal);
    return this.#file(path).bytes.dataRanges();
  }

  async setMetadata(path: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    await this.#begin({ operation: 'setMetadata', path }, signal);
    const file = this.#file(path);
    file.metadata = withLowerNames(metadata);
    this.#touch(file);
  }

  async rename(from: string, to: string, { metadata, signal }: RenameOptions = {}): Promise<void> {
    parseSharePath(to);
    await this.#begin({ operation: 'rename', path: from }, signal);
    const file = this.#file(from);
    this.#files.delete(from);
    this.#files.set(to, file);
    if (metadata !== undefined) file.metadata = withLowerNames(metadata);
    this.#touch(file);
  }

  /** Folders come with their files. */
  async ensureFolders(path: string, signal?: AbortSignal): Promise<void> {
    parseSharePath(path);
    await this.#begin({ operation: 'ensureFolders', path }, signal);
  }

  async remove(path: string, signal?: AbortSignal): Promise<boolean> {
    await this.#begin({ operation: 'remove', path }, signal);
    if (this.#files.has(path) && (this.#held.get(path) ?? 0) > 0) throw this.#error('FILE_IN_USE', path, 'a client holds it open');
    return this.#files.delete(path);
  }

  async openHandles(path: string, signal?: AbortSignal): Promise<number | undefined> {
    await this.#begin({ operation: 'openHandles', path }, signal);
    return path === '' ? [...this.#held.values()].reduce((sum, count) => sum + count, 0) : (this.#held.get(path) ?? 0);
  }

  async closeHandles(path: string, signal?: AbortSignal): Promise<number> {
    await this.#begin({ operation: 'closeHandles', path }, signal);
    const count = this.#held.get(path) ?? 0;
    this.#held.delete(path);
    return count;
  }

  async *list(folder: string, signal?: AbortSignal): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }> {
    await this.#begin({ operation: 'list', path: folder }, signal);
    const prefix = folder === '' ? '' : `${folder}/`;
    for (const path of this.paths) {
      const name = path.slice(prefix.length);
      const file = this.#files.get(path);
      if (path.startsWith(prefix) && !name.includes('/') && file !== undefined) yield { name, sizeBytes: file.bytes.sizeBytes };
    }
  }

  async grantCopySource(path: string, expiresAt: Date): Promise<CopySource> {
    await this.#begin({ operation: 'grantCopySource', path });
    return { url: `memory://${this.#id}/${path.split('/').map(encodeURIComponent).join('/')}?until=${expiresAt.getTime()}`, expiresAt };
  }

  mountSources(path: string, expiresAt: Date): MountSource[] {
    return [
      { type: 'smb', region: this.region, source: `//${this.name}.invalid/layers/${path}`, options: ['ro'] },
      { type: 'https', region: this.region, source: `https://${this.name}.invalid/layers/${path}?sig=memory`, options: [], expiresAt },
    ];
  }

  async #begin(call: ShareCall, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.calls.push(call);
    await this.before(call);
    signal?.throwIfAborted();
    const at = this.#faults.findIndex((fault) => fault.operation === call.operation);
    if (at >= 0) throw this.#faults.splice(at, 1)[0]!.error;
  }

  #write(path: string, range: ByteRange, bytes: Uint8Array): void {
    const file = this.#checkPiece(path, range);
    file.bytes.write(range.offset, bytes);
    this.#touch(file);
  }

  #readGranted(source: CopySource, range: ByteRange): Buffer {
    const url = new URL(source.url);
    const share = url.protocol === 'memory:' ? SHARES.get(url.hostname)?.deref() : undefined;
    const expired = Number(url.searchParams.get('until')) <= this.#clock.now().getTime();
    const path = decodeURIComponent(url.pathname.slice(1));
    const file = share === undefined ? undefined : share.#files.get(path);
    if (share === undefined || file === undefined || expired || range.offset + range.length > file.bytes.sizeBytes) {
      throw this.#error('COPY_SOURCE_FAILED', path, expired ? 'the grant has ended' : 'the source cannot be read');
    }
    share.#traffic = { ...share.#traffic, copiedOutBytes: share.#traffic.copiedOutBytes + range.length };
    return file.bytes.read(range);
  }

  #checkPiece(path: string, range: ByteRange): MemoryFile {
    const file = this.#file(path);
    if (range.length > PIECE_BYTES) throw this.#error('RANGE_INVALID', path, 'a range holds at most 4 MiB');
    this.#checkWithin(path, file, range);
    return file;
  }

  #checkWithin(path: string, file: MemoryFile, range: ByteRange): void {
    const valid = range.offset >= 0 && range.length > 0 && range.offset + range.length <= file.bytes.sizeBytes;
    if (!valid) throw this.#error('RANGE_INVALID', path, `${range.offset}+${range.length} is not within its ${file.bytes.sizeBytes} bytes`);
  }

  #reserve(path: string, sizeBytes: number): void {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > 4 * TiB) throw this.#error('RANGE_INVALID', path, `${sizeBytes} is no file size`);
    const others = this.usedBytes - (this.#files.get(path)?.bytes.sizeBytes ?? 0);
    if (others + sizeBytes > this.capacityBytes) throw this.#error('SHARE_FULL', path, `the share holds ${others} of ${this.capacityBytes} bytes`);
  }

  #file(path: string): MemoryFile {
    const file = this.#files.get(path);
    if (file === undefined) throw this.#error('FILE_NOT_FOUND', path, 'there is no such file');
    return file;
  }

  #error(code: ShareErrorCode, path: string, why: string): ShareError {
    return new ShareError(code, `${this.name}/${path}: ${why}`, { details: { share: this.name, path } });
  }

  #touch(file: MemoryFile): void {
    file.etag = this.#nextEtag();
    file.modifiedAt = this.#clock.now();
  }

  #nextEtag(): string {
    this.#etagNumber += 1;
    return `"0x${this.#etagNumber.toString(16).toUpperCase()}"`;
  }
}

function withLowerNames(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]));
}
