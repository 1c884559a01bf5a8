import { createHash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { TEMPORARY_SUFFIX, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { changeLine, CHANGES_MAX, type FileRecord, parseRecord, type RangeChange } from './file-record.js';

/** Records kept in memory; the least recently used ones are read again when they are needed. */
const LOADED_RECORDS_MAX = 10_000;

interface Sweeping {
  readonly exists: (path: string) => Promise<boolean>;
  readonly finish: (path: string, record: FileRecord) => Promise<void>;
}

const RECORD_SUFFIX = '.record';
const FOLDER_SUFFIX = '.folder';

/**
 * The records of one share, in a tree that follows the share's folders by the hashes of their names. Only the holder of a
 * path's lock may use its record. Records of folders are kept like records of files, under the folder's path.
 */
export class RecordStore {
  readonly #root: string;
  readonly #loaded = new Map<string, FileRecord>();
  readonly #appending = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  /** The record of `path`, or undefined when none was ever written. */
  async load(path: string): Promise<FileRecord | undefined> {
    const known = this.#loaded.get(path);
    if (known !== undefined) return this.#remember(path, known);
    const text = await unlessAbsent(readFile(this.#recordPath(path), 'utf8'));
    const record = text === undefined ? undefined : parseRecord(text);
    if (text !== undefined && record !== undefined && !text.endsWith('\n')) await this.save(path, record);
    // Two that hold the path together may both have read it: they must go on with one record.
    return record === undefined ? undefined : this.#remember(path, this.#loaded.get(path) ?? record);
  }

  /** Writes the whole record; durable when it returns. */
  async save(path: string, record: FileRecord): Promise<void> {
    const target = this.#recordPath(path);
    await mkdir(dirname(target), { recursive: true });
    await writeFileAtomically(target, record.toText());
    record.changeCount = 0;
    this.#remember(path, record);
  }

  /** Makes `record` the one record of `path` unless there is one; a record that was never saved is saved with its first change. */
  adopt(path: string, record: FileRecord): FileRecord {
    return this.#loaded.get(path) ?? this.#remember(path, record);
  }

  /** Applies a range change and writes its line; safe against the end of this process when it returns. */
  append(path: string, record: FileRecord, change: RangeChange): Promise<void> {
    record.apply(change);
    // Another copy exists only when this one was forgotten while it was in use.
    const live = this.#loaded.get(path);
    if (live !== undefined && live !== record) live.apply(change);
    record.changeCount += 1;
    const before = this.#appending.get(path) ?? Promise.resolve();
    const after = before.then(() =>
      record.changeCount > CHANGES_MAX ? this.save(path, record) : appendFile(this.#recordPath(path), changeLine(change)),
    );
    const settled = after.catch(() => undefined);
    this.#appending.set(path, settled);
    void settled.then(() => this.#appending.get(path) === settled && this.#appending.delete(path));
    return after;
  }

  /** Forgets the record of a file, or of a folder with everything in it. */
  async remove(path: string): Promise<void> {
    this.#loaded.delete(path);
    await rm(this.#recordPath(path), { force: true });
  }

  /** Lets the records of everything within a folder follow it. Only while nobody else uses the store, unless there are none. */
  async moveFolder(from: string, to: string): Promise<void> {
    if (from === to || (await unlessAbsent(stat(this.#folderPath(from)))) === undefined) return;
    for (const path of this.#loaded.keys()) if (path.startsWith(`${from}/`) || path.startsWith(`${to}/`)) this.#loaded.delete(path);
    await rm(this.#folderPath(to), { recursive: true, force: true });
    await mkdir(dirname(this.#folderPath(to)), { recursive: true });
    await rename(this.#folderPath(from), this.#folderPath(to));
  }

  /** Writes a record without waiting for the disk, into a store that nobody reads before it is whole. */
  async place(path: string, record: FileRecord): Promise<void> {
    const target = this.#recordPath(path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, record.toText());
  }

  /** Forgets a folder: its own record and the place of those within. */
  async removeFolder(path: string): Promise<void> {
    await this.remove(path);
    await rm(this.#folderPath(path), { recursive: true, force: true });
  }

  /**
   * Removes temporary files, and the records whose host file `exists` denies: what a crash left. What it interrupted of the others is ended, after
   * `finish` has done its part. Only while nobody else uses the store.
   */
  async sweep(exists: (path: string) => Promise<boolean>, finish: (path: string, record: FileRecord) => Promise<void>): Promise<void> {
    await this.#sweepFolder(this.#root, '', { exists, finish });
  }

  async #sweepFolder(folder: string, path: string, sweeping: Sweeping): Promise<void> {
    const entries = (await unlessAbsent(readdir(folder, { withFileTypes: true }))) ?? [];
    const subfolders = new Map<string, string>();
    for (const entry of entries.filter((candidate) => candidate.isFile())) {
      const at = join(folder, entry.name);
      const record = entry.name.endsWith(TEMPORARY_SUFFIX) ? undefined : parseRecord(await readFile(at, 'utf8'));
      const itsPath = path === '' ? record?.header.name : `${path}/${record?.header.name}`;
      if (record === undefined || itsPath === undefined || !(await sweeping.exists(itsPath))) {
        await rm(at, { force: true });
        continue;
      }
      subfolders.set(`${hashed(record.header.name)}${FOLDER_SUFFIX}`, itsPath);
      await sweeping.finish(itsPath, record);
      if (record.header.copy?.status === 'pending') await this.#endCopy(itsPath, record);
    }
    for (const entry of entries.filter((candidate) => candidate.isDirectory())) {
      const itsPath = subfolders.get(entry.name);
      // A folder without a record was made by another program: its files' records cannot be named from here, so they are left alone.
      if (itsPath !== undefined) await this.#sweepFolder(join(folder, entry.name), itsPath, sweeping);
    }
  }

  /** Nobody goes on with a copy that the end of the process interrupted. */
  async #endCopy(path: string, record: FileRecord): Promise<void> {
    const { header } = record;
    const copy = { ...header.copy!, status: 'failed' as const, completedAt: new Date().toUTCString(), description: '500 InternalError "The service was restarted."' };
    record.header = { ...header, copy };
    await this.save(path, record);
  }

  #remember(path: string, record: FileRecord): FileRecord {
    this.#loaded.delete(path);
    this.#loaded.set(path, record);
    if (this.#loaded.size > LOADED_RECORDS_MAX) this.#forgetOne();
    return record;
  }

  /** Leaves records alone that lines are being appended to: a second copy of them would miss those. */
  #forgetOne(): void {
    for (const path of this.#loaded.keys()) {
      if (this.#appending.has(path)) continue;
      this.#loaded.delete(path);
      return;
    }
  }

  #recordPath(path: string): string {
    const components = path.split('/');
    const name = components.pop() ?? '';
    return join(this.#root, ...components.map((component) => hashed(component) + FOLDER_SUFFIX), hashed(name) + RECORD_SUFFIX);
  }

  #folderPath(path: string): string {
    return join(this.#root, ...path.split('/').map((component) => hashed(component) + FOLDER_SUFFIX));
  }
}

function hashed(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}
