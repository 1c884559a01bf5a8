import { constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';

import { AzureFilesError } from '../azure-error.js';
import type { NewFile } from './entry.js';
import { FileRecord } from './file-record.js';
import { refusal } from './host-refusal.js';
import { type HostTree, parentOf } from './host-tree.js';
import type { RecordStore } from './record-store.js';
import { nextTicks } from './ticks.js';

/** A link at the end of a path is never followed. */
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Makes files and folders so that after a crash they are there with their headers, whole, or not at all. The record comes first: a record of nothing
 * is swept away. That of a file says that it is not finished until the file has its size, and holds nothing of one that it takes the place of.
 */
export class Creations {
  readonly #tree: HostTree;
  readonly #records: RecordStore;

  constructor(tree: HostTree, records: RecordStore) {
    this.#tree = tree;
    this.#records = records;
  }

  /** Makes a folder where there is nothing. */
  async folder(path: string, record: FileRecord): Promise<void> {
    await this.#withRecord(path, record, () => mkdir(this.#tree.at(path)));
  }

  /** Makes a file of zeros where there is nothing. */
  async file(path: string, record: FileRecord, sizeBytes: number): Promise<void> {
    record.header = { ...record.header, unfinishedBytes: sizeBytes };
    await this.#withRecord(path, record, () => this.#tree.open(path, CREATE, (host) => host.truncate(sizeBytes)));
    await this.#finished(path, record);
  }

  /** Makes a file of zeros in place of another. */
  async replacement(path: string, record: FileRecord, sizeBytes: number): Promise<void> {
    record.header = { ...record.header, unfinishedBytes: sizeBytes };
    await this.#records.save(path, record);
    await this.finish(path, record);
  }

  /** Goes on with a file that a record says is not finished; nothing where it does not say so. */
  async finish(path: string, record: FileRecord): Promise<void> {
    const { unfinishedBytes } = record.header;
    if (unfinishedBytes === undefined) return;
    await this.#tree.open(path, 'r+', async (host) => {
      await host.truncate(0);
      await host.truncate(unfinishedBytes);
    });
    await this.#finished(path, record);
  }

  async #finished(path: string, record: FileRecord): Promise<void> {
    const { unfinishedBytes: _done, ...header } = record.header;
    record.header = header;
    await this.#records.save(path, record);
  }

  async #withRecord(path: string, record: FileRecord, make: () => Promise<void>): Promise<void> {
    if ((await this.#tree.locate(parentOf(path) ?? '')).host?.isDirectory() !== true) throw new AzureFilesError('ParentNotFound');
    await this.#records.removeFolder(path);
    await this.#records.save(path, record);
    try {
      await make();
    } catch (error) {
      await this.#records.remove(path);
      throw refusal(error, 'ParentNotFound');
    }
  }
}

/** The record of something new. @param madeAfter the newest snapshot of the share; empty where there is none */
export function newRecord(path: string, { content, metadata, smb = {} }: Omit<NewFile, 'sizeBytes'>, madeAfter: string): FileRecord {
  const at = nextTicks();
  const { attributes, permissionKey, statusChangedAt } = smb;
  // The two highest bits are set as in the numbers that the real service gives; ticks make it unique.
  const fileId = (0xc000_0000_0000_0000n | at).toString();
  const name = path.slice(path.lastIndexOf('/') + 1);
  const record = new FileRecord({ name, fileId, createdAt: smb.createdAt ?? at, content, metadata, attributes, permissionKey, statusChangedAt, madeAfter }, at);
  record.writtenAt = smb.writtenAt ?? at;
  return record;
}
