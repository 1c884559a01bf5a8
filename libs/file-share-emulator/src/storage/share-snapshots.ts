import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { MiB, SECOND_MS } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import { failedWith, syncFolder, TEMPORARY_SUFFIX, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import type { Entry } from './entry.js';
import { RecordStore } from './record-store.js';
import { ShareFolder, type UnlockedFolder } from './share-folder.js';
import { parseShareRecord, type ShareRecord, shareRecordText } from './share-record.js';
import { readBytes, writeSparse } from './sparse-file.js';

/** Snapshots of one share (Azure: 200). */
const SNAPSHOTS_MAX = 200;
const COPY_PIECE_BYTES = MiB;
const RECORD_FILE = 'snapshot.json';

/** A share as it was at an instant; nothing of it changes any more, but for its lease. */
export interface ShareSnapshot {
  /** `2026-01-13T19:07:18.0000000Z`: whole seconds, seven zeros. */
  readonly stamp: string;
  readonly folder: ShareFolder;
  readonly record: ShareRecord;
}

/** The snapshots of one share. A snapshot is a folder that gets its name when it is whole; where the host can, its files share their blocks with the share's. */
export class ShareSnapshots {
  readonly #root: string;
  readonly #snapshots = new Map<string, ShareSnapshot>();

  private constructor(root: string) {
    this.#root = root;
  }

  /** Opens the snapshots kept in `root`; removes those that a crash left half made. */
  static async open(root: string): Promise<ShareSnapshots> {
    const snapshots = new ShareSnapshots(root);
    for (const name of (await unlessAbsent(readdir(root)))?.toSorted() ?? []) {
      const text = name.endsWith(TEMPORARY_SUFFIX) ? undefined : await unlessAbsent(readFile(join(root, name, RECORD_FILE), 'utf8'));
      if (text === undefined) await rm(join(root, name), { recursive: true, force: true });
      else snapshots.#add(stampOf(name), parseShareRecord(text));
    }
    return snapshots;
  }

  /** The name of the newest snapshot; empty when there is none. */
  get newest(): string {
    return [...this.#snapshots.keys()].at(-1) ?? '';
  }

  /** All snapshots, oldest first. */
  list(): ShareSnapshot[] {
    return [...this.#snapshots.values()];
  }

  /** @throws {AzureFilesError} `ShareSnapshotNotFound` */
  get(stamp: string): ShareSnapshot {
    const snapshot = this.#snapshots.get(stamp);
    if (snapshot === undefined) throw new AzureFilesError('ShareSnapshotNotFound');
    return snapshot;
  }

  /** Takes a snapshot while nothing on the share changes. */
  async take(folder: ShareFolder, record: ShareRecord): Promise<ShareSnapshot> {
    if (this.#snapshots.size >= SNAPSHOTS_MAX) throw new AzureFilesError('ShareSnapshotCountExceeded');
    return folder.alone(async (unlocked) => {
      const last = this.newest === '' ? 0 : Date.parse(this.newest);
      const at = Math.max(Math.floor(Date.now() / SECOND_MS) * SECOND_MS, last + SECOND_MS);
      const stamp = new Date(at).toISOString().replace('.000Z', '.0000000Z');
      const place = join(this.#root, nameOf(stamp));
      const temporary = place + TEMPORARY_SUFFIX;
      await mkdir(join(temporary, 'files'), { recursive: true });
      await copyTree(unlocked, '', { files: join(temporary, 'files'), records: new RecordStore(join(temporary, 'records', 'tree')) });
      await writeFileAtomically(join(temporary, RECORD_FILE), shareRecordText({ ...record, lease: undefined }));
      await rename(temporary, place);
      await syncFolder(this.#root);
      return this.#add(stamp, { ...record, lease: undefined });
    });
  }

  /** Removes a snapshot. */
  async remove(stamp: string): Promise<void> {
    this.get(stamp);
    this.#snapshots.delete(stamp);
    const place = join(this.#root, nameOf(stamp));
    await rename(place, place + TEMPORARY_SUFFIX);
    await rm(place + TEMPORARY_SUFFIX, { recursive: true, force: true });
  }

  /** Sets the lease of a snapshot. */
  async setLease(stamp: string, lease: ShareRecord['lease']): Promise<void> {
    const snapshot = this.get(stamp);
    const record = { ...snapshot.record, lease };
    await writeFileAtomically(join(this.#root, nameOf(stamp), RECORD_FILE), shareRecordText(record));
    this.#snapshots.set(stamp, { ...snapshot, record });
  }

  #add(stamp: string, record: ShareRecord): ShareSnapshot {
    const place = join(this.#root, nameOf(stamp));
    const folder = new ShareFolder({ files: join(place, 'files'), records: join(place, 'records'), quotaBytes: () => 0 });
    const snapshot = { stamp, folder, record };
    this.#snapshots.set(stamp, snapshot);
    return snapshot;
  }
}

interface CopyTarget {
  readonly files: string;
  readonly records: RecordStore;
}

async function copyTree(from: UnlockedFolder, path: string, to: CopyTarget): Promise<void> {
  for (const name of await readdir(from.at(path))) {
    const entry = await from.find(path === '' ? name : `${path}/${name}`);
    if (entry === undefined) continue;
    const target = join(to.files, entry.path);
    if (entry.kind === 'folder') await mkdir(target);
    else await copyContent(entry, from.at(entry.path), target);
    await to.records.place(entry.path, entry.record.copyWith(entry.record.header, entry.record.changedAt));
    if (entry.kind === 'folder') await copyTree(from, entry.path, to);
  }
}

/** Copies a file with its holes: by reference where the host's file system can, else the written ranges. */
async function copyContent(entry: Entry, from: string, to: string): Promise<void> {
  try {
    return await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!failedWith(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY')) throw error;
  }
  const source = await open(from, 'r');
  const target = await open(to, 'w', 0o644);
  try {
    await target.truncate(entry.sizeBytes);
    const buffer = Buffer.alloc(COPY_PIECE_BYTES);
    for (const { offset, length } of entry.record.written.within({ offset: 0, length: entry.sizeBytes })) {
      for (let at = offset; at < offset + length; at += COPY_PIECE_BYTES) {
        const bytes = buffer.subarray(0, Math.min(COPY_PIECE_BYTES, offset + length - at));
        await readBytes(source, at, bytes);
        await writeSparse(target, { offset: at, bytes, written: [] });
      }
    }
  } finally {
    await source.close();
    await target.close();
  }
}

/** `20260113T190718Z`: a name that every file system takes. */
function nameOf(stamp: string): string {
  return `${stamp.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

function stampOf(name: string): string {
  return name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.0000000Z');
}
