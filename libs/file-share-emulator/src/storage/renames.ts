import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { syncFolder, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { applyChanges, type Entry, type EntryChanges } from './entry.js';
import type { FileRecord } from './file-record.js';
import { refusal } from './host-refusal.js';
import type { HostTree } from './host-tree.js';
import type { RecordStore } from './record-store.js';
import { nextTicks } from './ticks.js';

/** Moves entries of a share so that a crash leaves them whole at one place: the intention is on the disk before the move and until the record has followed. */
export class Renames {
  readonly #intentions: string;
  readonly #tree: HostTree;
  readonly #records: RecordStore;

  constructor(intentions: string, tree: HostTree, records: RecordStore) {
    this.#intentions = intentions;
    this.#tree = tree;
    this.#records = records;
  }

  /** Moves `source` to `to`, over a file that is there; its record with it, changed by `changes`. The caller holds both places. */
  async move(source: Entry, to: string, changes: EntryChanges): Promise<FileRecord> {
    const intention = join(this.#intentions, randomUUID());
    await writeFileAtomically(intention, JSON.stringify({ from: source.path, to }));
    await rename(this.#tree.at(source.path), this.#tree.at(to)).catch(async (error: unknown) => {
      await rm(intention, { force: true });
      throw refusal(error, 'ParentNotFound');
    });
    const record = await this.#moveRecord(source.path, to, { record: source.record, changes });
    await rm(intention, { force: true });
    return record;
  }

  /** Finishes the moves that a crash interrupted, and forgets those that had moved nothing. */
  async recover(): Promise<void> {
    await mkdir(this.#intentions, { recursive: true });
    for (const name of await readdir(this.#intentions)) await this.#finish(join(this.#intentions, name));
  }

  async #finish(intention: string): Promise<void> {
    const { from, to } = parseIntention(await readFile(intention, 'utf8'));
    if (from !== undefined && to !== undefined && (await unlessAbsent(stat(this.#tree.at(from)))) === undefined) {
      const record = await this.#records.load(from);
      if (record !== undefined) await this.#moveRecord(from, to, { record, changes: {} });
      else await this.#records.moveFolder(from, to);
    }
    await rm(intention, { force: true });
  }

  async #moveRecord(from: string, to: string, { record, changes }: { readonly record: FileRecord; readonly changes: EntryChanges }): Promise<FileRecord> {
    // The lease of a file that was in the way goes with that file; the one of the moved file stays with it.
    const moved = record.copyWith({ ...record.header, name: to.slice(to.lastIndexOf('/') + 1) }, nextTicks());
    applyChanges(moved, changes);
    await this.#records.save(to, moved);
    await this.#records.moveFolder(from, to);
    if (from !== to) await this.#records.remove(from);
    await syncFolder(dirname(this.#tree.at(to)));
    return moved;
  }
}

function parseIntention(text: string): { readonly from?: string; readonly to?: string } {
  try {
    return JSON.parse(text) as { readonly from?: string; readonly to?: string };
  } catch (error) {
    // A crash left a temporary file of an intention: nothing was moved for it.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
