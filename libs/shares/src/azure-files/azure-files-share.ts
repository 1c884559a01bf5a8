import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { type ShareClient, type ShareFileClient, ShareServiceClient, StorageSharedKeyCredential } from '@azure/storage-file-share';

import { type Clock, type RetryPolicy, retrying, SystemClock } from '#clock';
import { GiB, MINUTE_MS, SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import { ByteRangeSet } from '../byte-ranges.js';
import { PIECE_BYTES } from '../layer-file.js';
import { type ByteRange, type CopySource, type Crc64, type MountSource, Share, type ShareFile } from '../share.js';
import { ShareError, type ShareErrorCode } from '../share-error.js';
import { parseSharePath } from '../share-path.js';
import { shareErrorOf } from './azure-files-error.js';
import { type AzureFilesShareOptions, smbHostOf } from './azure-files-options.js';
import { CallGate } from './call-gate.js';
import { FileGrants } from './file-grants.js';
import { readPieces } from './read-pieces.js';

/** Full jitter from 0.25 s to 20 s; asked waits are honoured up to a minute. Six tries ride out a throttled share, not an outage. */
const RETRY: RetryPolicy = { triesMax: 6, firstWaitMs: 250, waitMaxMs: 20 * SECOND_MS, askedWaitMaxMs: MINUTE_MS };
/** One try of one call: 4 MiB at 100 KiB/s take 40 s. */
const TRY_TIMEOUT_MS = MINUTE_MS;
/** Calls under way on one share; the widest copy that is planned has 64 pieces in flight. */
const CALLS_MAX = 64;
/** A range list is not paged: it is asked for in windows of this many bytes. */
const RANGE_WINDOW_BYTES = 4 * GiB;
const LIST_PAGE = 1000;

/**
 * A share on Azure Files, or on anything that speaks its REST API, through Microsoft's SDK. The SDK's own retries are off: they
 * come without jitter and ignore `Retry-After`. Safe to use from many callers at once.
 */
export class AzureFilesShare extends Share {
  readonly name: string;
  readonly region: RegionName;
  readonly capacityBytes: number;
  readonly #share: ShareClient;
  readonly #grants: FileGrants;
  readonly #clock: Clock;
  readonly #gate = new CallGate(CALLS_MAX);
  readonly #folder: string | undefined;
  /** `//host/share`, where there is one. */
  readonly #unc: string | undefined;

  constructor(options: AzureFilesShareOptions) {
    super();
    this.name = options.name;
    this.region = options.region;
    this.capacityBytes = options.capacityBytes;
    this.#clock = options.clock ?? new SystemClock();
    const endpoint = options.endpoint.replace(/\/+$/, '');
    const credential = new StorageSharedKeyCredential(options.account, options.accountKey);
    this.#share = new ShareServiceClient(endpoint, credential, { retryOptions: { maxTries: 1 } }).getShareClient(options.shareName);
    this.#grants = new FileGrants({ credential, endpoint, shareName: options.shareName, clock: this.#clock });
    const smbHost = smbHostOf(options);
    this.#unc = smbHost === undefined ? undefined : `//${smbHost}/${options.shareName}`;
    this.#folder = options.folder;
  }

  /**
   * The provider's quota is the capacity rounded up to whole GiB, at least one: what is planned stays within the capacity as it is configured, and only
   * what passes the plan's guess, such as an expansion of unknown size, may reach the quota.
   */
  async ensureExists(signal?: AbortSignal): Promise<void> {
    const quota = Math.max(1, Math.ceil(this.capacityBytes / GiB));
    await this.#call('', (abortSignal) => this.#share.createIfNotExists({ quota, abortSignal }), signal);
  }

  async createFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const file = this.#file(path);
    await this.#withParents(path, () => this.#call(path, (abortSignal) => file.create(sizeBytes, { abortSignal }), signal), signal);
  }

  async resizeFile(path: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    await this.#call(path, (abortSignal) => this.#file(path).resize(sizeBytes, { abortSignal }), signal);
  }

  async writeRange(path: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    this.#checkPiece(path, { offset, length: bytes.length });
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const contentMD5 = createHash('md5').update(body).digest();
    await this.#call(path, (abortSignal) => this.#file(path).uploadRange(body, offset, body.length, { contentMD5, abortSignal }), signal);
  }

  async copyRange(path: string, range: ByteRange, source: CopySource, signal?: AbortSignal): Promise<Crc64> {
    this.#checkPiece(path, range);
    const { offset, length } = range;
    const answer = await this.#call(path, (abortSignal) => this.#file(path).uploadRangeFromURL(source.url, offset, offset, length, { abortSignal }), signal);
    if (answer.xMsContentCrc64 === undefined) throw this.#error('SHARE_PROTOCOL', path, 'the answer to a copy carries no CRC64');
    return Buffer.from(answer.xMsContentCrc64).toString('base64');
  }

  async readRange(path: string, range: ByteRange, signal?: AbortSignal): Promise<Buffer> {
    if (range.offset < 0 || range.length <= 0) throw this.#error('RANGE_INVALID', path, `${range.offset}+${range.length} is no range`);
    const file = this.#file(path);
    return readPieces(range, (piece) => this.#call(path, (abortSignal) => this.#download(path, file, piece, abortSignal), signal), (why) =>
      this.#error('INTEGRITY_MISMATCH', path, why),
    );
  }

  async stat(path: string, signal?: AbortSignal): Promise<ShareFile | undefined> {
    const found = await this.#properties(path, signal);
    if (found === undefined) return undefined;
    const metadata = Object.fromEntries(Object.entries(found.metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    return { path, sizeBytes: found.contentLength ?? 0, etag: found.etag ?? '', metadata };
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

  async rename(from: string, to: string, signal?: AbortSignal): Promise<void> {
    parseSharePath(to);
    const before = await this.#properties(from, signal);
    if (before === undefined) throw this.#error('FILE_NOT_FOUND', from, 'there is no such file');
    try {
      await this.#withParents(to, () => this.#call(from, (abortSignal) => this.#file(from).rename(to, { replaceIfExists: true, abortSignal }), signal), signal);
    } catch (error) {
      // The answer to a rename that happened may have been lost: the next try then finds the file at its new name.
      if (!(error instanceof ShareError) || error.code !== 'FILE_NOT_FOUND') throw error;
      if ((await this.#properties(to, signal))?.fileId !== before.fileId) throw error;
    }
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
    }
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
    parseSharePath(path);
    return this.#grants.grant(path, expiresAt);
  }

  mountSources(path: string, expiresAt: Date): MountSource[] {
    parseSharePath(path);
    const sources: MountSource[] = [];
    const { region } = this;
    if (this.#folder !== undefined) sources.push({ type: 'file', region, source: join(this.#folder, path), options: ['ro'] });
    if (this.#unc !== undefined) sources.push({ type: 'smb', region, source: `${this.#unc}/${path}`, options: ['ro'] });
    const grant = this.#grants.grant(path, expiresAt);
    sources.push({ type: 'https', region, source: grant.url, options: [], expiresAt: grant.expiresAt });
    return sources;
  }

  async #download(path: string, file: ShareFileClient, piece: ByteRange, abortSignal: AbortSignal): Promise<{ bytes: Buffer; etag: string }> {
    const answer = await file.download(piece.offset, piece.length, { abortSignal, maxRetryRequests: 0 });
    if (answer.contentLength !== piece.length || answer.readableStreamBody === undefined) {
      answer.readableStreamBody?.on('error', () => undefined).resume();
      throw this.#error('RANGE_INVALID', path, `${piece.offset}+${piece.length} is not within the file`);
    }
    const bytes = Buffer.allocUnsafeSlow(piece.length);
    let received = 0;
    for await (const chunk of answer.readableStreamBody as AsyncIterable<Buffer>) received += chunk.copy(bytes, received);
    if (received !== piece.length) throw new ShareError('SHARE_UNAVAILABLE', `${this.name}/${path}: the answer ended early`, { transient: true });
    return { bytes, etag: answer.etag ?? '' };
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

  /** One call to the service: bounded, timed, tried again while that may help, its failure turned. */
  #call<T>(path: string, call: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempt = async (): Promise<T> => {
      const timeout = AbortSignal.timeout(TRY_TIMEOUT_MS);
      try {
        return await call(signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
      } catch (error) {
        signal?.throwIfAborted();
        throw shareErrorOf(error, { share: this.name, path, now: this.#clock.now() });
      }
    };
    return retrying({ clock: this.#clock, policy: RETRY, judge, signal }, () => this.#gate.run(attempt, signal));
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

/** A mismatch of what we sent is tried again too: the bytes are still here. */
function judge(error: unknown): { readonly retry: boolean; readonly askedWaitMs?: number | undefined } {
  if (!(error instanceof ShareError)) return { retry: false };
  const asked = error.details['retryAfterMs'];
  const retry = error.transient || error.details['azureCode'] === 'Md5Mismatch';
  return { retry, askedWaitMs: typeof asked === 'number' ? asked : undefined };
}
