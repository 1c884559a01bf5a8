import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { ShareClient, ShareFileClient } from '@azure/storage-file-share';

import type { Clock } from '#clock';
import { GiB } from '#quantities';
import type { RegionName } from '#regions';

import { ByteRangeSet } from '../byte-ranges.js';
import { ByteRate } from '../byte-rate.js';
import { PIECE_BYTES } from '../layer-file.js';
import { type ByteRange, type CopySource, type Crc64, type MountSource, OPEN_HANDLES_COUNTED_MAX, type RenameOptions, Share, type ShareFile, type ShareUsage } from '../share.js';
import { ShareError, type ShareErrorCode } from '../share-error.js';
import { parseSharePath } from '../share-path.js';
import type { AzureFilesAccount } from './azure-files-account.js';
import type { AzureFilesCalls } from './azure-files-calls.js';
import { type AzureFilesShareOptions, hostMountOf } from './azure-files-options.js';
import { countHandles } from './count-handles.js';
import type { FileGrants } from './file-grants.js';
import { FileIds } from './file-ids.js';
import { PieceDownload } from './piece-download.js';
import { type FetchedPiece, readPieces } from './read-pieces.js';

/** A range list is not paged: it is asked for in windows of this many bytes. */
const RANGE_WINDOW_BYTES = 4 * GiB;
const LIST_PAGE = 1000;
/** From here on a call takes the time of its bytes rather than that of the distance. */
const BULK_BYTES = PIECE_BYTES / 2;

/** A share on Azure Files, or on anything that speaks its REST API. Safe to use from many callers at once. */
export class AzureFilesShare extends Share {
  readonly name: string;
  readonly region: RegionName;
  readonly capacityBytes: number;
  readonly #account: AzureFilesAccount;
  readonly #share: ShareClient;
  readonly #calls: AzureFilesCalls;
  readonly #grants: FileGrants | undefined;
  readonly #clock: Clock;
  readonly #in: ByteRate;
  readonly #out: ByteRate;
  readonly #fileIds = new FileIds();
  readonly #folder: string | undefined;
  readonly #hostMount: ReturnType<typeof hostMountOf>;
  /** NFS knows no handles, and the provider no list of them for it. */
  readonly #hasHandles: boolean;

  constructor(options: AzureFilesShareOptions) {
    super();
    const { account, shareName, bytesPerSecond } = options;
    this.name = options.name;
    this.region = options.region;
    this.capacityBytes = options.capacityBytes;
    this.#account = account;
    this.#clock = account.clock;
    this.#share = account.client(shareName);
    this.#calls = account.calls(options.name);
    this.#grants = account.grants(shareName);
    this.#in = new ByteRate(bytesPerSecond?.in);
    this.#out = new ByteRate(bytesPerSecond?.out);
    this.#hostMount = hostMountOf(options);
    this.#hasHandles = options.protocol !== 'nfs';
    this.#folder = options.folder;
  }

  /** Calls that may be under way on this share now: what it was found to bear. */
  get callsWidth(): number {
    return this.#calls.width;
  }

  /**
   * The provider's quota is the capacity rounded up to whole GiB, at least one: what is planned stays within the capacity as it is configured, and only
   * what passes the plan's guess, such as an expansion of unknown size, may reach the quota. A credential that may not create shares suffices when the
   * share is there.
   */
  async ensureExists(signal?: AbortSignal): Promise<void> {
    const quota = Math.max(1, Math.ceil(this.capacityBytes / GiB));
    try {
      await this.#calls.make({ path: '', signal }, (abortSignal) => this.#share.createIfNotExists({ quota, abortSignal }));
    } catch (error) {
      if (!isDenied(error)) throw error;
      await this.#look(signal);
    }
    await this.#account.renewGrants();
  }

  async usage(signal?: AbortSignal): Promise<ShareUsage | undefined> {
    try {
      const properties = await this.#calls.make({ path: '', signal }, (abortSignal) => this.#share.getProperties({ abortSignal }));
      const statistics = await this.#calls.make({ path: '', signal }, (abortSignal) => this.#share.getStatistics({ abortSignal }));
      return { provisionedBytes: (properties.quota ?? 0) * GiB, usedBytes: statistics.shareUsageBytes };
    } catch (error) {
      if (isDenied(error)) return undefined;
      throw error;
    }
  }

  async createFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const file = this.#file(path);
    const { fileId } = await this.#withParents(path, () => this.#call(path, (abortSignal) => file.create(sizeBytes, { abortSignal }), signal), signal);
    this.#fileIds.made(path, fileId);
  }

  async resizeFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    await this.#call(path, (abortSignal) => this.#file(path).resize(sizeBytes, { abortSignal }), signal);
  }

  async writeRange(path: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#checkPiece(path, { offset, length: bytes.length });
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const contentMD5 = createHash('md5').update(body).digest();
    await this.#in.take(bytes.length, this.#clock, signal);
    await this.#move(path, body, (abortSignal) => this.#file(path).uploadRange(body, offset, body.length, { contentMD5, abortSignal }), signal);
  }

  async copyRange(path: string, range: ByteRange, source: CopySource, signal?: AbortSignal): Promise<Crc64> {
    this.#checkPiece(path, range);
    const { offset, length } = range;
    await source.admit?.(length, signal);
    await this.#in.take(length, this.#clock, signal);
    const answer = await this.#move(path, range, (abortSignal) => this.#file(path).uploadRangeFromURL(source.url, offset, offset, length, { abortSignal }), signal);
    if (answer.xMsContentCrc64 === undefined) throw this.#error('SHARE_PROTOCOL', path, 'the answer to a copy carries no CRC64');
    return Buffer.from(answer.xMsContentCrc64).toString('base64');
  }

  async readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer> {
    if (range.offset < 0 || range.length <= 0) throw this.#error('RANGE_INVALID', path, `${range.offset}+${range.length} is no range`);
    const file = this.#file(path);
    const fetch = async (piece: ByteRange): Promise<FetchedPiece> => {
      await this.#out.take(piece.length, this.#clock, signal);
      const download = new PieceDownload(file, piece, (code, why) => this.#error(code, path, why));
      return this.#move(path, piece, (abortSignal) => download.goOn(abortSignal), signal);
    };
    return readPieces(range, fetch, (why) => this.#error('INTEGRITY_MISMATCH', path, why));
  }

  async stat(path: string, signal?: AbortSignal): Promise<ShareFile | undefined> {
    const found = await this.#properties(path, signal);
    if (found === undefined) return undefined;
    const metadata = Object.fromEntries(Object.entries(found.metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    const toldAt = found.date ?? found.lastModified ?? this.#clock.now();
    return { path, sizeBytes: found.contentLength ?? 0, etag: found.etag ?? '', modifiedAt: found.lastModified ?? toldAt, toldAt, metadata };
  }

  async dataRanges(path: string, signal?: AbortSignal): Promise<ByteRange[]> {
    const file = await this.stat(path, signal);
    if (file === undefined) throw this.#error('FILE_NOT_FOUND', path, 'there is no such file');
    const ranges = new ByteRangeSet();
    for (let offset = 0; offset < file.sizeBytes; offset += RANGE_WINDOW_BYTES) {
      const range = { offset, count: Math.min(RANGE_WINDOW_BYTES, file.sizeBytes - offset) };
      const answer = await this.#call(path, (abortSignal) => this.#file(path).getRangeList({ range, abortSignal }), signal);
      for (const { start, end } of answer.rangeList ?? []) ranges.add({ offset: start, length: end - start + 1 });
    }
    return ranges.toArray();
  }

  async setMetadata(path: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    await this.#call(path, (abortSignal) => this.#file(path).setMetadata({ ...metadata }, { abortSignal }), signal);
  }

  async rename(from: string, to: string, { metadata, signal }: RenameOptions = {}): Promise<void> {
    parseSharePath(to);
    const fileId = this.#fileIds.of(from) ?? (await this.#properties(from, signal))?.fileId;
    if (fileId === undefined) throw this.#error('FILE_NOT_FOUND', from, 'there is no such file');
    const options = { replaceIfExists: true, ...(metadata === undefined ? {} : { metadata: { ...metadata } }) };
    try {
      await this.#withParents(to, () => this.#call(from, (abortSignal) => this.#file(from).rename(to, { ...options, abortSignal }), signal), signal);
    } catch (error) {
      // The answer to a rename that happened may have been lost: the next try then finds the file at its new name.
      if (!(error instanceof ShareError) || error.code !== 'FILE_NOT_FOUND') throw error;
      if ((await this.#properties(to, signal))?.fileId !== fileId) throw error;
    }
    this.#fileIds.moved(from, to);
  }

  async ensureFolders(path: string, signal?: AbortSignal): Promise<void> {
    const { folders } = parseSharePath(path);
    if (folders.length === 0) return;
    const folder = folders.join('/');
    const make = (): Promise<unknown> => this.#call(folder, (abortSignal) => this.#share.getDirectoryClient(folder).createIfNotExists({ abortSignal }), signal);
    await this.#withParents(folder, make, signal);
  }

  async remove(path: string, signal?: AbortSignal): Promise<boolean> {
    let tries = 0;
    try {
      await this.#call(path, (abortSignal) => {
        tries += 1;
        return this.#file(path).delete({ abortSignal });
      }, signal);
      return true;
    } catch (error) {
      if (error instanceof ShareError && error.code === 'FILE_NOT_FOUND') return tries > 1;
      throw error;
    } finally {
      this.#fileIds.gone(path);
    }
  }

  async openHandles(path: string, signal?: AbortSignal): Promise<number | undefined> {
    if (!this.#hasHandles) return 0;
    const of = path === '' ? this.#share.rootDirectoryClient.listHandles({ recursive: true }) : this.#file(path).listHandles();
    return countHandles(of.byPage({ maxPageSize: OPEN_HANDLES_COUNTED_MAX }), (next) => this.#page(path, next, signal));
  }

  async closeHandles(path: string, signal?: AbortSignal): Promise<number> {
    if (!this.#hasHandles) return 0;
    const closed = await this.#unlessAbsent(this.#call(path, (abortSignal) => this.#file(path).forceCloseAllHandles({ abortSignal }), signal));
    return closed?.closedHandlesCount ?? 0;
  }

  async *list(folder: string, signal?: AbortSignal): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }> {
    if (folder !== '') parseSharePath(folder);
    const directory = this.#share.getDirectoryClient(folder);
    let continuationToken: string | undefined;
    do {
      const page = await this.#page(folder, (abortSignal) => {
        const resume = continuationToken === undefined ? {} : { continuationToken };
        return directory.listFilesAndDirectories({ abortSignal }).byPage({ maxPageSize: LIST_PAGE, ...resume }).next();
      }, signal);
      if (page === undefined || page.done === true) return;
      for (const file of page.value.segment.fileItems) yield { name: file.name, sizeBytes: file.properties.contentLength };
      continuationToken = page.value.continuationToken === '' ? undefined : page.value.continuationToken;
    } while (continuationToken !== undefined);
  }

  async grantCopySource(path: string, expiresAt: Date): Promise<CopySource> {
    const { folders, name } = parseSharePath(path);
    const admit = (bytes: number, signal?: AbortSignal): Promise<void> => this.#out.take(bytes, this.#clock, signal);
    await this.#account.renewGrants();
    const grant = this.#grants?.grant(path, expiresAt);
    if (grant !== undefined) return { ...grant, admit };
    const { readSas } = this.#account;
    if (readSas === undefined) throw this.#error('SHARE_DENIED', path, 'the credential of its account can grant nothing');
    const url = [this.#share.url.split('?')[0], ...[...folders, name].map(encodeURIComponent)].join('/');
    return { url: `${url}?${readSas}`, expiresAt, admit };
  }

  mountSources(path: string, expiresAt: Date): MountSource[] {
    parseSharePath(path);
    const sources: MountSource[] = [];
    const { region } = this;
    if (this.#folder !== undefined) sources.push({ type: 'file', region, source: join(this.#folder, path), options: ['ro'] });
    const mount = this.#hostMount;
    if (mount !== undefined) sources.push({ type: mount.type, region, source: `${mount.base}/${path}`, options: mount.options });
    const grant = this.#grants?.grant(path, expiresAt);
    if (grant !== undefined) sources.push({ type: 'https', region, source: grant.url, options: [], expiresAt: grant.expiresAt });
    return sources;
  }

  renewGrants(): Promise<void> {
    return this.#account.renewGrants();
  }

  /** @throws unless the share is there and may be listed. */
  async #look(signal?: AbortSignal): Promise<void> {
    await this.#call('', (abortSignal) => this.#share.rootDirectoryClient.listFilesAndDirectories({ abortSignal }).byPage({ maxPageSize: 1 }).next(), signal);
  }

  async #properties(path: string, signal?: AbortSignal): Promise<Awaited<ReturnType<ShareFileClient['getProperties']>> | undefined> {
    return this.#unlessAbsent(this.#call(path, (abortSignal) => this.#file(path).getProperties({ abortSignal }), signal));
  }

  #page<T>(folder: string, next: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
    return this.#unlessAbsent(this.#call(folder, next, signal));
  }

  async #unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof ShareError && error.code === 'FILE_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Runs `call`; when the service says that a folder above `path` is missing, makes the folders and runs it again. */
  async #withParents<T>(path: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const { folders } = parseSharePath(path);
      if (!(error instanceof ShareError) || error.details['azureCode'] !== 'ParentNotFound' || folders.length === 0) throw error;
      for (let depth = 1; depth <= folders.length; depth += 1) {
        const folder = folders.slice(0, depth).join('/');
        await this.#call(folder, (abortSignal) => this.#share.getDirectoryClient(folder).createIfNotExists({ abortSignal }), signal);
      }
      return call();
    }
  }

  #call<T>(path: string, call: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#calls.make({ path, signal }, call);
  }

  /** A call that moves bytes. */
  #move<T>(path: string, { length }: { readonly length: number }, call: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#calls.make({ path, signal, bulk: length >= BULK_BYTES }, call);
  }

  #file(path: string): ShareFileClient {
    parseSharePath(path);
    return this.#share.rootDirectoryClient.getFileClient(path);
  }

  #checkPiece(path: string, { offset, length }: ByteRange): void {
    const valid = Number.isSafeInteger(offset) && offset >= 0 && length > 0 && length <= PIECE_BYTES;
    if (!valid) throw this.#error('RANGE_INVALID', path, `${offset}+${length} is not 1 byte to 4 MiB`);
  }

  #error(code: ShareErrorCode, path: string, why: string): ShareError {
    return new ShareError(code, `${this.name}/${path}: ${why}`, { details: { share: this.name, path } });
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof ShareError && error.code === 'SHARE_DENIED';
}
