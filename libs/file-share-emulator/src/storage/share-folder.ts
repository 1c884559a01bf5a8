import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { ByteRange } from '#shares';

import { AzureFilesError } from '../azure-error.js';
import type { Lease, LeaseOutcome } from '../lease.js';
import { unlessAbsent } from './atomic-file.js';
import { Creations, newRecord } from './creations.js';
import { applyChanges, checkUse, type Entry, type EntryChanges, type NewFile, type NewFolder, type Use, type Writer } from './entry.js';
import { type RangeChange, widened } from './file-record.js';
import { refusal } from './host-refusal.js';
import { folded, HostTree, parentOf } from './host-tree.js';
import { OpenHandles } from './open-handles.js';
import { RecordStore } from './record-store.js';
import { Renames } from './renames.js';
import { ShareEntries } from './share-entries.js';
import { ShareLocks } from './share-locks.js';
import { ShareQuota } from './share-quota.js';
import { clearBytes, readBytes, writeSparse } from './sparse-file.js';
import { nextTicks, type Ticks } from './ticks.js';

/** Where the two halves of a share are on the host, and how much it may hold. */
export interface ShareFolderOptions {
  /** The exported tree. */
  readonly files: string;
  /** Records and intentions, outside the exported tree. */
  readonly records: string;
  /** Bytes of all files together, by their logical sizes. */
  readonly quotaBytes: () => number;
  /** The newest snapshot of the share; empty while there is none. Changes are recorded as made after it. */
  readonly epoch?: () => string;
}

/** Bytes for a place in a file. */
export interface RangeWrite {
  readonly offset: number;
  readonly bytes: Buffer;
  /** True where the file's last write time is to stay. */
  readonly keepsWriteTime?: boolean;
}

/** A share's folder for the one who holds it alone. */
export interface UnlockedFolder {
  find(path: string): Promise<Entry | undefined>;
  /** The host's path of a path on the share. */
  at(path: string): string;
}

const NOBODY: Writer = {};

/**
 * The files of one share in a folder of the host. Names are found whatever their case. Every operation is one step for its caller: when the
 * process ends within one, the next start finds the state before or after it, and every operation that returned.
 *
 * - create: write the record, then the file. In place of a file: write a record that says so, empty the file, write the record; `recover` finishes what was begun.
 * - write: record the range, write the bytes. Clear: write the zeros, record the clearing. The host file is zero outside its ranges at any time.
 * - rename: write down the intention, rename the file, move the record, drop the intention; `recover` finishes what was begun.
 */
export class ShareFolder {
  /** Who holds what open. */
  readonly handles = new OpenHandles();
  readonly #tree: HostTree;
  readonly #records: RecordStore;
  readonly #renames: Renames;
  readonly #creations: Creations;
  readonly #options: ShareFolderOptions;
  readonly #locks = new ShareLocks();
  readonly #entries: ShareEntries;
  readonly #quota: ShareQuota;

  constructor(options: ShareFolderOptions) {
    this.#options = options;
    this.#tree = new HostTree(options.files);
    this.#records = new RecordStore(join(options.records, 'tree'));
    this.#entries = new ShareEntries(this.#tree, this.#records);
    this.#quota = new ShareQuota(options.quotaBytes);
    this.#creations = new Creations(this.#tree, this.#records);
    this.#renames = new Renames(join(options.records, 'renames'), this.#tree, this.#records);
  }

  /** Logical bytes of all files. */
  get usedBytes(): number {
    return this.#quota.usedBytes;
  }

  /** Finishes what a crash interrupted and counts what is there. Before anything else is called. */
  async recover(): Promise<void> {
    await this.#renames.recover();
    const exists = async (path: string): Promise<boolean> => (await unlessAbsent(stat(this.#tree.at(path)))) !== undefined;
    await this.#records.sweep(exists, (path, record) => this.#creations.finish(path, record));
    await this.#quota.count(this.#options.files);
  }

  /** Runs `work` while nothing else on the share changes or is read. */
  alone<T>(work: (unlocked: UnlockedFolder) => Promise<T>): Promise<T> {
    return this.#locks.alone(() => work({ find: (path) => this.#entries.find(path), at: (path) => this.#tree.at(path) }));
  }

  /** The entry at `path`; the root folder for the empty path. */
  async find(path: string): Promise<Entry | undefined> {
    return this.#locks.hold(path, 'shared', () => this.#entries.find(path));
  }

  /** Creates a folder. */
  async createFolder(path: string, folder: NewFolder): Promise<Entry> {
    return this.#locks.inParent(path, async () => {
      const place = await this.#tree.locate(path);
      if (place.host !== undefined) throw new AzureFilesError('ResourceAlreadyExists');
      const record = newRecord(place.path, { ...folder, content: { type: '' } }, this.#epoch());
      await this.#creations.folder(place.path, record);
      return { kind: 'folder', path: place.path, name: record.header.name, sizeBytes: 0, record };
    });
  }

  /** Removes an empty folder. */
  async removeFolder(path: string): Promise<void> {
    await this.#locks.withMembers(path, async () => {
      const entry = await this.#entries.find(path);
      if (entry === undefined) throw await this.#entries.absence(path);
      if (entry.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
      this.handles.checkUse(entry.path, 'delete');
      await rmdir(this.#tree.at(entry.path)).catch((error: unknown) => { throw refusal(error); });
      await this.#records.removeFolder(entry.path);
    });
  }

  /** Creates a file of zeros, in place of one that is there. */
  async createFile(path: string, file: NewFile, writer: Writer = NOBODY): Promise<Entry> {
    return this.#locks.inParent(path, async () => {
      const before = await this.#entries.find(path);
      if (before?.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
      if (before !== undefined) this.#check(before, 'write', writer);
      const at = before?.path ?? (await this.#tree.locate(path)).path;
      const record = newRecord(at, file, this.#epoch());
      const release = this.#quota.reserve(file.sizeBytes - (before?.sizeBytes ?? 0));
      try {
        await (before === undefined ? this.#creations.file(at, record, file.sizeBytes) : this.#creations.replacement(at, record, file.sizeBytes));
      } catch (error) {
        release();
        throw error;
      }
      return { kind: 'file', path: at, name: record.header.name, sizeBytes: file.sizeBytes, record };
    });
  }

  /** Removes a file. */
  async removeFile(path: string, writer: Writer = NOBODY): Promise<void> {
    await this.#locks.hold(path, 'exclusive', async () => {
      const entry = await this.#entries.file(path);
      this.#check(entry, 'delete', writer);
      await unlink(this.#tree.at(entry.path)).catch((error: unknown) => { throw refusal(error); });
      await this.#records.remove(entry.path);
      this.#quota.reserve(-entry.sizeBytes);
    });
  }

  /** Changes what is kept of a file or folder; `sizeBytes` where a file is to be resized. */
  async change(path: string, changes: EntryChanges, writer: Writer = NOBODY): Promise<Entry> {
    return this.#locks.hold(path, 'exclusive', async () => {
      const entry = await this.#entries.present(path);
      this.#check(entry, changes.sizeBytes === undefined ? 'describe' : 'write', writer);
      if (changes.sizeBytes !== undefined) await this.#resize(entry, changes.sizeBytes);
      applyChanges(entry.record, changes);
      await this.#records.save(entry.path, entry.record);
      return { ...entry, sizeBytes: changes.sizeBytes ?? entry.sizeBytes };
    });
  }

  /** One step of the protocol of a file's lease; its ETag stays. */
  async lease(path: string, step: (lease: Lease | undefined) => LeaseOutcome): Promise<{ readonly outcome: LeaseOutcome; readonly changedAt: Ticks }> {
    return this.#locks.hold(path, 'exclusive', async () => {
      const { path: at, record } = await this.#entries.file(path);
      const outcome = step(record.header.lease);
      record.header = { ...record.header, lease: outcome.lease };
      await this.#records.save(at, record);
      return { outcome, changedAt: record.changedAt };
    });
  }

  /** Writes bytes within a file; holes of the file stay holes where the bytes are zero. */
  async write(path: string, { offset, bytes, keepsWriteTime = false }: RangeWrite, writer: Writer = NOBODY): Promise<Entry> {
    return this.#locks.hold(path, 'shared', async () => {
      const entry = await this.#entries.file(path);
      const { record } = entry;
      const range = { offset, length: bytes.length };
      if (offset + bytes.length > entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      this.#check(entry, 'write', writer);
      const written = record.written.within(widened(range));
      await this.#append(entry, { kind: 'w', range, keepsWriteTime });
      await this.#tree.openToWrite(entry.path, (host) => writeSparse(host, { offset, bytes, written }));
      return entry;
    });
  }

  /** Makes a range of a file zero; the whole 512-byte units in it become unwritten. */
  async clear(path: string, { keepsWriteTime = false, ...range }: ByteRange & { readonly keepsWriteTime?: boolean }, writer: Writer = NOBODY): Promise<Entry> {
    return this.#locks.hold(path, 'exclusive', async () => {
      const entry = await this.#entries.file(path);
      if (range.offset + range.length > entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      this.#check(entry, 'write', writer);
      await this.#tree.open(entry.path, 'r+', (host) => clearBytes(host, entry.record.written.within(range)));
      await this.#append(entry, { kind: 'c', range, keepsWriteTime });
      return entry;
    });
  }

  /** Fills `bytes` from `offset` on; that range must lie within the file. */
  async read(path: string, offset: number, bytes: Buffer): Promise<void> {
    const range = { offset, length: bytes.length };
    await this.#locks.hold(path, 'shared', async () => {
      const entry = await this.#entries.file(path);
      if (range.offset + range.length > entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      if (entry.record.written.touches(range)) await this.#tree.open(entry.path, 'r', (host) => readBytes(host, offset, bytes));
      else bytes.fill(0);
    });
  }

  /** Moves a file or folder within the share, in one step. A folder moves with everything in it, while nothing else happens on the share. */
  async rename(from: string, to: string, options: RenameOptions): Promise<Entry> {
    const source = await this.find(from);
    if (source?.kind === 'folder') return this.alone(() => this.#rename(from, to, options));
    return this.#locks.move(from, to, () => this.#rename(from, to, options));
  }

  /** The entries of a folder by name, without order. */
  async names(path: string): Promise<string[]> {
    return this.#locks.hold(path, 'shared', async () => {
      const entry = await this.#entries.find(path);
      if (entry?.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
      return readdir(this.#tree.at(entry?.path ?? path)).catch((error: unknown) => { throw refusal(error); });
    });
  }

  /** Flips the bits of the byte at `offset` on the disk, past every record: damage that only the file's own digest can show. */
  async damage(path: string, offset: number): Promise<void> {
    await this.#locks.hold(path, 'exclusive', async () => {
      const entry = await this.#entries.file(path);
      if (offset >= entry.sizeBytes) throw new AzureFilesError('InvalidRange');
      await this.#tree.open(entry.path, 'r+', async (host) => {
        const byte = Buffer.alloc(1);
        await host.read(byte, 0, 1, offset);
        await host.write(Buffer.from([byte[0]! ^ 0xff]), 0, 1, offset);
      });
    });
  }

  async #rename(from: string, to: string, { replace, kind, ignoresReadOnly = false, writer = NOBODY, targetWriter = NOBODY, ...changes }: RenameOptions): Promise<Entry> {
    const source = await this.#entries.present(from);
    if (source.kind !== kind) throw new AzureFilesError('ResourceTypeMismatch');
    if (kind === 'folder' && `${folded(to)}/`.startsWith(`${folded(source.path)}/`) && folded(to) !== folded(source.path)) throw new AzureFilesError('InvalidResourceName');
    const target = folded(source.path) === folded(to) ? undefined : await this.#entries.find(to);
    if (target !== undefined && !replace) throw new AzureFilesError('ResourceAlreadyExists');
    if (target !== undefined && (kind === 'folder' || target.kind === 'folder')) throw new AzureFilesError('ResourceTypeMismatch');
    // A read-only file may be moved; it is only not replaced.
    this.#check(source, 'delete', { ...writer, ignoresReadOnly: true });
    if (kind === 'folder' && this.handles.hasWithin(source.path)) throw new AzureFilesError('SharingViolation');
    if (target !== undefined) this.#check(target, 'delete', { ...targetWriter, ignoresReadOnly });
    const parent = await this.#tree.locate(parentOf(to) ?? '');
    const at = target?.path ?? join(parent.path, to.slice(to.lastIndexOf('/') + 1));
    const record = await this.#renames.move(source, at, changes);
    this.#quota.reserve(-(target?.sizeBytes ?? 0));
    return { ...source, path: at, name: record.header.name, record };
  }

  #check(entry: Entry, use: Use, writer: Writer): void {
    checkUse(entry, use, { writer, handles: this.handles });
  }

  #append({ path, record }: Entry, change: Omit<RangeChange, 'changedAt' | 'epoch'>): Promise<void> {
    return this.#records.append(path, record, { ...change, changedAt: nextTicks(), epoch: this.#epoch() });
  }

  #epoch(): string {
    return this.#options.epoch?.() ?? '';
  }

  async #resize({ kind, path, sizeBytes: before, record }: Entry, sizeBytes: number): Promise<void> {
    if (kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
    const release = this.#quota.reserve(sizeBytes - before);
    try {
      await this.#tree.open(path, 'r+', (host) => host.truncate(sizeBytes));
    } catch (error) {
      release();
      throw error;
    }
    record.clip(sizeBytes, this.#epoch());
    record.writtenAt = nextTicks();
  }
}

/** How something is renamed. */
export interface RenameOptions extends Pick<EntryChanges, 'content' | 'metadata' | 'smb'> {
  /** What the source must be. */
  readonly kind: Entry['kind'];
  readonly replace: boolean;
  /** Whether a read-only file in the way may be replaced. */
  readonly ignoresReadOnly?: boolean;
  readonly writer?: Writer;
  /** On whose behalf a file in the way is replaced. */
  readonly targetWriter?: Writer;
}
