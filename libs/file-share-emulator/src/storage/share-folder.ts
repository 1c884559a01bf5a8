import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { ByteRange } from '#shares';

import { AzureFilesError } from '../azure-error.js';
import { syncFolder, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { type ContentHeaders, FileRecord, recordOfForeignFile, widened } from './file-record.js';
import { refusal } from './host-refusal.js';
import { PathLocks } from './path-locks.js';
import { RecordStore } from './record-store.js';
import { clearBytes, readBytes, writeSparse } from './sparse-file.js';
import { nextTicks } from './ticks.js';

/** A file or folder as it was found; `record` is the live one and may have moved on since. */
export interface Entry {
  readonly kind: 'file' | 'folder';
  readonly name: string;
  /** 0 for folders. */
  readonly sizeBytes: number;
  readonly record: FileRecord;
}

/** What a new file is made with. */
export interface NewFile {
  readonly sizeBytes: number;
  readonly content: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Where the two halves of a share are on the host, and how much it may hold. */
export interface ShareFolderOptions {
  /** The exported tree. */
  readonly files: string;
  /** Records and intentions, outside the exported tree. */
  readonly records: string;
  /** Bytes of all files together, by their logical sizes. */
  readonly quotaBytes: () => number;
}

/**
 * The files of one share in a folder of the host. Every operation is one step for its caller: when the process ends within one,
 * the next start finds the state before or after it, and every operation that returned.
 *
 * - create: drop the record, truncate the file, write the record. In between the file has no record and so no metadata.
 * - write: record the range, write the bytes. Clear: write the zeros, record the clearing. The host file is zero outside its ranges at any time.
 * - rename: write down the intention, rename the file, move the record, drop the intention; `recover` finishes what was begun.
 */
export class ShareFolder {
  readonly #files: string;
  readonly #intentions: string;
  readonly #records: RecordStore;
  readonly #quotaBytes: () => number;
  readonly #locks = new PathLocks();
  #usedBytes = 0;

  constructor(options: ShareFolderOptions) {
    this.#files = options.files;
    this.#intentions = join(options.records, 'renames');
    this.#records = new RecordStore(join(options.records, 'tree'));
    this.#quotaBytes = options.quotaBytes;
  }

  /** Logical bytes of all files. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Finishes what a crash interrupted and counts what is there. Before anything else is called. */
  async recover(): Promise<void> {
    await mkdir(this.#intentions, { recursive: true });
    for (const name of await readdir(this.#intentions)) await this.#finishRename(join(this.#intentions, name));
    await this.#records.sweep(async (path) => (await unlessAbsent(stat(this.#at(path)))) !== undefined);
    this.#usedBytes = await countBytes(this.#files);
  }

  /** The entry at `path`; the root folder for the empty path. */
  async find(path: string): Promise<Entry | undefined> {
    return this.#locks.hold(path, 'shared', () => this.#find(path));
  }

  /** Creates a folder. */
  async createFolder(path: string, metadata: Readonly<Record<string, string>>): Promise<Entry> {
    return this.#inParent(path, async () => {
      await mkdir(this.#at(path)).catch((error: unknown) => { throw refusal(error, 'ParentNotFound'); });
      await this.#records.removeFolder(path);
      const record = newRecord(path, { content: { type: '' }, metadata });
      await this.#records.save(path, record);
      return { kind: 'folder', name: record.header.name, sizeBytes: 0, record };
    });
  }

  /** Removes an empty folder. */
  async removeFolder(path: string): Promise<void> {
    await this.#locks.both(`${path}/`, path, async () => {
      if ((await this.#find(path))?.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
      await rmdir(this.#at(path)).catch((error: unknown) => { throw refusal(error); });
      await this.#records.removeFolder(path);
    });
  }

  /** Creates a file of zeros, in place of one that is there. */
  async createFile(path: string, file: NewFile): Promise<Entry> {
    return this.#inParent(path, async () => {
      const before = await this.#find(path);
      if (before?.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
      const release = this.#reserve(file.sizeBytes - (before?.sizeBytes ?? 0));
      try {
        await this.#records.remove(path);
        const host = await open(this.#at(path), 'w', 0o644).catch((error: unknown) => { throw refusal(error, 'ParentNotFound'); });
        await closing(host, () => host.truncate(file.sizeBytes));
      } catch (error) {
        release();
        throw error;
      }
      const record = newRecord(path, file);
      await this.#records.save(path, record);
      return { kind: 'file', name: record.header.name, sizeBytes: file.sizeBytes, record };
    });
  }

  /** Removes a file. */
  async removeFile(path: string): Promise<void> {
    await this.#locks.hold(path, 'exclusive', async () => {
      const { sizeBytes } = await this.#file(path);
      await unlink(this.#at(path)).catch((error: unknown) => { throw refusal(error); });
      await this.#records.remove(path);
      this.#usedBytes -= sizeBytes;
    });
  }

  /** Changes what is kept of a file; `sizeBytes` where it is to be resized. */
  async change(path: string, changes: Partial<NewFile>): Promise<Entry> {
    return this.#locks.hold(path, 'exclusive', async () => {
      const { record, sizeBytes, name, kind } = await this.#file(path);
      if (changes.sizeBytes !== undefined) await this.#resize(path, sizeBytes, changes.sizeBytes, record);
      record.header = { ...record.header, content: changes.content ?? record.header.content, metadata: changes.metadata ?? record.header.metadata };
      record.changedAt = nextTicks();
      await this.#records.save(path, record);
      return { kind, name, sizeBytes: changes.sizeBytes ?? sizeBytes, record };
    });
  }

  /** Writes bytes within a file; holes of the file stay holes where the bytes are zero. */
  async write(path: string, offset: number, bytes: Buffer): Promise<Entry> {
    return this.#locks.hold(path, 'shared', async () => {
      const entry = await this.#file(path);
      const { record } = entry;
      const range = { offset, length: bytes.length };
      if (offset + bytes.length > entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      const written = record.written.within(widened(range));
      await this.#records.append(path, record, { kind: 'w', range, changedAt: nextTicks() });
      await this.#open(path, 'r+', (host) => writeSparse(host, { offset, bytes, written }));
      return entry;
    });
  }

  /** Makes a range of a file zero; the whole 512-byte units in it become unwritten. */
  async clear(path: string, range: ByteRange): Promise<Entry> {
    return this.#locks.hold(path, 'exclusive', async () => {
      const entry = await this.#file(path);
      const { record } = entry;
      if (range.offset + range.length > entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      await this.#open(path, 'r+', (host) => clearBytes(host, record.written.within(range)));
      await this.#records.append(path, record, { kind: 'c', range, changedAt: nextTicks() });
      return entry;
    });
  }

  /** Fills `bytes` from `offset` on; that range must lie within the file. */
  async read(path: string, offset: number, bytes: Buffer): Promise<void> {
    const range = { offset, length: bytes.length };
    await this.#locks.hold(path, 'shared', async () => {
      const { sizeBytes, record } = (await this.#find(path)) ?? (await this.#file(path));
      if (range.offset + range.length > sizeBytes) throw new AzureFilesError('InvalidRange');
      if (record.written.touches(range)) await this.#open(path, 'r', (host) => readBytes(host, offset, bytes));
      else bytes.fill(0);
    });
  }

  /** Moves a file within the share, in one step. */
  async rename(from: string, to: string, options: { readonly replace: boolean }): Promise<Entry> {
    return this.#locks.hold(membership(to), 'shared', () => this.#locks.both(from, to, async () => {
      const source = await this.#file(from);
      const target = from === to ? undefined : await this.#find(to);
      if (target !== undefined && !options.replace) throw new AzureFilesError('ResourceAlreadyExists');
      if (target?.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
      const intention = join(this.#intentions, randomUUID());
      await writeFileAtomically(intention, JSON.stringify({ from, to }));
      await rename(this.#at(from), this.#at(to)).catch(async (error: unknown) => {
        await rm(intention, { force: true });
        throw refusal(error, 'ParentNotFound');
      });
      const record = await this.#moveRecord(from, to, source.record);
      await rm(intention, { force: true });
      this.#usedBytes -= target?.sizeBytes ?? 0;
      return { ...source, name: record.header.name, record };
    }));
  }

  /** The entries of a folder by name, without order. */
  async names(path: string): Promise<string[]> {
    return this.#locks.hold(path, 'shared', async () => {
      if ((await this.#find(path))?.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
      return readdir(this.#at(path)).catch((error: unknown) => { throw refusal(error); });
    });
  }

  async #find(path: string): Promise<Entry | undefined> {
    // A link is no file of the share, whoever made it: it may lead anywhere.
    const host = await unlessAbsent(lstat(this.#at(path)));
    if (host === undefined || !(host.isFile() || host.isDirectory())) return undefined;
    const kind = host.isFile() ? 'file' : 'folder';
    const name = path.split('/').at(-1) ?? '';
    const record = (await this.#records.load(path)) ?? recordOfForeignFile(name, host);
    return { kind, name, sizeBytes: kind === 'file' ? host.size : 0, record };
  }

  async #file(path: string): Promise<Entry> {
    const entry = await this.#find(path);
    if (entry?.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
    if (entry !== undefined) return { ...entry, record: this.#records.adopt(path, entry.record) };
    const parent = parentOf(path);
    const missing = parent === undefined || (await unlessAbsent(stat(this.#at(parent)))) !== undefined ? 'ResourceNotFound' : 'ParentNotFound';
    throw new AzureFilesError(missing);
  }

  async #resize(path: string, beforeBytes: number, sizeBytes: number, record: FileRecord): Promise<void> {
    const release = this.#reserve(sizeBytes - beforeBytes);
    try {
      await this.#open(path, 'r+', (host) => host.truncate(sizeBytes));
    } catch (error) {
      release();
      throw error;
    }
    record.clip(sizeBytes);
  }

  #reserve(bytes: number): () => void {
    if (bytes > 0 && this.#usedBytes + bytes > this.#quotaBytes()) throw new AzureFilesError('ShareSizeLimitReached');
    this.#usedBytes += bytes;
    return () => { this.#usedBytes -= bytes; };
  }

  async #moveRecord(from: string, to: string, record: FileRecord): Promise<FileRecord> {
    const moved = new FileRecord({ ...record.header, name: to.split('/').at(-1)! }, nextTicks(), record.written.toArray());
    await this.#records.save(to, moved);
    if (from !== to) await this.#records.remove(from);
    await syncFolder(join(this.#at(to), '..'));
    return moved;
  }

  async #finishRename(intention: string): Promise<void> {
    const { from, to } = JSON.parse((await readFile(intention, 'utf8')) || '{}') as { readonly from?: string; readonly to?: string };
    if (from !== undefined && to !== undefined && (await unlessAbsent(stat(this.#at(from)))) === undefined) {
      const record = await this.#records.load(from);
      if (record !== undefined) await this.#moveRecord(from, to, record);
    }
    await rm(intention, { force: true });
  }

  /** Holds `path` alone, and its folder so that it is not removed meanwhile. */
  #inParent<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.hold(membership(path), 'shared', () => this.#locks.hold(path, 'exclusive', work));
  }

  async #open<T>(path: string, flags: string, use: (host: FileHandle) => Promise<T>): Promise<T> {
    const host = await open(this.#at(path), flags).catch((error: unknown) => { throw refusal(error); });
    return closing(host, () => use(host));
  }

  #at(path: string): string {
    return join(this.#files, path);
  }
}

async function closing<T>(host: FileHandle, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await host.close();
  }
}

function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? undefined : path.slice(0, slash);
}

/** The lock for being in the folder of `path`: another one than the folder's own, and taken before any path's own, so that nobody waits in a circle. */
function membership(path: string): string {
  return `${parentOf(path) ?? ''}/`;
}

function newRecord(path: string, file: Omit<NewFile, 'sizeBytes'>): FileRecord {
  const at = nextTicks();
  // The two highest bits are set as in the numbers that the real service gives; ticks make it unique.
  const fileId = (0xc000_0000_0000_0000n | at).toString();
  return new FileRecord({ name: path.split('/').at(-1)!, fileId, createdAt: at, content: file.content, metadata: file.metadata }, at);
}

async function countBytes(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await countBytes(path);
    else if (entry.isFile()) total += (await stat(path)).size;
  }
  return total;
}
