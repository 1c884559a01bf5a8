import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { DAY_MS } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import { unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { parseShareRecord, type ShareRecord, shareRecordText } from './share-record.js';
import { nextTicks } from './ticks.js';

/** A share that was deleted and can be restored. */
export interface DeletedShare {
  readonly name: string;
  /** Tells it from others of its name. */
  readonly version: string;
  readonly deletedAt: Date;
  readonly record: ShareRecord;
}

/** The folders of live shares. */
export interface LiveFolders {
  readonly files: string;
  readonly records: string;
}

const RECORD_FILE = 'deleted.json';

/**
 * Shares that were deleted and are kept for some days: `{root}/{version}/` with `deleted.json`, then `files`, then `records`. Of a share whose files
 * are here the records belong here too: that is how a deletion, or a restoration that had moved only the records, is finished after a crash.
 */
export class DeletedShares {
  readonly #root: string;
  readonly #retentionDays: number;
  readonly #shares = new Map<string, DeletedShare>();

  constructor(root: string, retentionDays: number) {
    this.#root = root;
    this.#retentionDays = retentionDays;
  }

  /** Reads what is kept, finishes what a crash interrupted, and removes what is over its time. Before anything else is called. */
  async recover(live: LiveFolders): Promise<void> {
    for (const version of (await unlessAbsent(readdir(this.#root)))?.toSorted() ?? []) {
      const place = join(this.#root, version);
      const text = await unlessAbsent(readFile(join(place, RECORD_FILE), 'utf8'));
      const present = new Set(await readdir(place));
      if (text === undefined || !present.has('files')) {
        // Nothing was moved yet, or all of it was moved back.
        await rm(place, { recursive: true, force: true });
        continue;
      }
      const { name, deletedAt, record } = JSON.parse(text) as { name: string; deletedAt: string; record: string };
      if (!present.has('records')) await unlessAbsent(rename(join(live.records, name), join(place, 'records')));
      this.#shares.set(version, { name, version, deletedAt: new Date(deletedAt), record: parseShareRecord(record) });
    }
    await this.purge(new Date());
  }

  /** What can be restored, oldest first. */
  list(): DeletedShare[] {
    return [...this.#shares.values()];
  }

  /** A share that can be restored. @throws {AzureFilesError} `ShareNotFound` */
  get(name: string, version: string): DeletedShare {
    const share = this.#shares.get(version);
    if (share?.name !== name) throw new AzureFilesError('ShareNotFound');
    return share;
  }

  /** Whole days for which `share` can still be restored. */
  remainingDays({ deletedAt }: DeletedShare, now: Date): number {
    return Math.max(0, Math.ceil((deletedAt.getTime() + this.#retentionDays * DAY_MS - now.getTime()) / DAY_MS));
  }

  /** Removes for good what is over its time. */
  async purge(now: Date): Promise<void> {
    for (const share of this.list()) {
      if (share.deletedAt.getTime() + this.#retentionDays * DAY_MS > now.getTime()) continue;
      this.#shares.delete(share.version);
      await rm(join(this.#root, share.version), { recursive: true, force: true });
    }
  }

  /** Takes a share out of the live folders and keeps it. */
  async retain({ name, record }: { readonly name: string; readonly record: ShareRecord }, live: LiveFolders): Promise<void> {
    const deletedAt = new Date();
    const version = nextTicks().toString(16).toUpperCase().padStart(16, '0');
    const place = join(this.#root, version);
    await mkdir(place, { recursive: true });
    await writeFileAtomically(join(place, RECORD_FILE), JSON.stringify({ name, deletedAt, record: shareRecordText(record) }));
    await rename(join(live.files, name), join(place, 'files'));
    await rename(join(live.records, name), join(place, 'records'));
    this.#shares.set(version, { name, version, deletedAt, record });
  }

  /** Puts a share back into the live folders. @throws {AzureFilesError} `ShareNotFound` */
  async restore(name: string, version: string, live: LiveFolders): Promise<void> {
    const place = join(this.#root, this.get(name, version).version);
    await rename(join(place, 'records'), join(live.records, name));
    // A folder without a share that another program put there stays: the share cannot take its place.
    await rename(join(place, 'files'), join(live.files, name));
    this.#shares.delete(version);
    await rm(place, { recursive: true, force: true });
  }
}
