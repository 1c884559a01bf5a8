import { AzureFilesError } from '../azure-error.js';
import type { Entry } from './entry.js';
import { recordOfForeignFile } from './file-record.js';
import { type HostTree, parentOf } from './host-tree.js';
import type { RecordStore } from './record-store.js';

/** The files and folders of a share as they are found: what the host has, with what is on record of it. For the one who holds the path. */
export class ShareEntries {
  readonly #tree: HostTree;
  readonly #records: RecordStore;

  constructor(tree: HostTree, records: RecordStore) {
    this.#tree = tree;
    this.#records = records;
  }

  /** What is at `asked`, whatever its case; undefined when there is nothing. */
  async find(asked: string): Promise<Entry | undefined> {
    const { path, host } = await this.#tree.locate(asked);
    if (host === undefined) return undefined;
    const kind = host.isFile() ? 'file' : 'folder';
    const name = path.slice(path.lastIndexOf('/') + 1);
    const record = (await this.#records.load(path)) ?? recordOfForeignFile(name, host);
    return { kind, path, name, sizeBytes: kind === 'file' ? host.size : 0, record };
  }

  /** What is at `path`, its record the one that is kept from now on. @throws {AzureFilesError} as `absence` */
  async present(path: string): Promise<Entry> {
    const entry = await this.find(path);
    if (entry === undefined) throw await this.absence(path);
    return { ...entry, record: this.#records.adopt(entry.path, entry.record) };
  }

  /** The file at `path`. @throws {AzureFilesError} `ResourceTypeMismatch`, and as `present` */
  async file(path: string): Promise<Entry> {
    const entry = await this.present(path);
    if (entry.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
    return entry;
  }

  /** Why there is nothing at `path`: `ParentNotFound`, or `ResourceNotFound`. */
  async absence(path: string): Promise<AzureFilesError> {
    const parent = parentOf(path);
    const isOrphan = parent !== undefined && (await this.#tree.locate(parent)).host === undefined;
    return new AzureFilesError(isOrphan ? 'ParentNotFound' : 'ResourceNotFound');
  }
}
