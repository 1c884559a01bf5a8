import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { GiB } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import { failedWith, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { ShareFolder } from './share-folder.js';
import { nextTicks, type Ticks } from './ticks.js';

/** Folder of everything that is not exported, beside the accounts' folders; no account can have this name. */
export const RECORDS_FOLDER = '.records';

/** A share and what is kept of it. */
export interface EmulatedShare {
  readonly name: string;
  readonly folder: ShareFolder;
  quotaGiB: number;
  metadata: Readonly<Record<string, string>>;
  changedAt: Ticks;
}

/**
 * The shares of one account: `{root}/{account}/{share}/` is the exported tree, `{root}/.records/{account}/{share}/` the rest.
 * A share exists while its `share.json` does. Creating adopts a folder that is there already.
 */
export class ShareCatalogue {
  readonly #files: string;
  readonly #records: string;
  readonly #trash: string;
  readonly #shares = new Map<string, EmulatedShare>();
  readonly #changing = new Set<string>();

  private constructor(root: string, account: string) {
    this.#files = join(root, account);
    this.#records = join(root, RECORDS_FOLDER, account);
    this.#trash = join(root, RECORDS_FOLDER, account, '.deleted');
  }

  /** Opens the shares of `account` under `root` and finishes what a crash interrupted. */
  static async open(root: string, account: string): Promise<ShareCatalogue> {
    const catalogue = new ShareCatalogue(root, account);
    await mkdir(catalogue.#files, { recursive: true });
    await mkdir(catalogue.#trash, { recursive: true });
    await rm(catalogue.#trash, { recursive: true, force: true });
    await mkdir(catalogue.#trash);
    for (const name of await readdir(catalogue.#records)) await catalogue.#load(name);
    return catalogue;
  }

  /** The share called `name`. @throws {AzureFilesError} `ShareNotFound` */
  get(name: string): EmulatedShare {
    const share = this.#shares.get(name);
    if (share === undefined) throw new AzureFilesError('ShareNotFound');
    return share;
  }

  /** All shares by name. */
  list(): EmulatedShare[] {
    return [...this.#shares.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Creates a share. @throws {AzureFilesError} `ShareAlreadyExists` */
  async create(name: string, quotaGiB: number, metadata: Readonly<Record<string, string>>): Promise<EmulatedShare> {
    return this.#alone(name, async () => {
      if (this.#shares.has(name)) throw new AzureFilesError('ShareAlreadyExists');
      const share = this.#make(name, quotaGiB, metadata);
      await mkdir(join(this.#files, name), { recursive: true });
      await mkdir(join(this.#records, name), { recursive: true });
      await share.folder.recover();
      await this.#save(share);
      this.#shares.set(name, share);
      return share;
    });
  }

  /** Sets the quota or the metadata of a share. */
  async change(name: string, changes: { readonly quotaGiB?: number; readonly metadata?: Readonly<Record<string, string>> }): Promise<EmulatedShare> {
    return this.#alone(name, async () => {
      const share = Object.assign(this.get(name), changes, { changedAt: nextTicks() });
      await this.#save(share);
      return share;
    });
  }

  /** Deletes a share with everything on it. */
  async remove(name: string): Promise<void> {
    await this.#alone(name, async () => {
      this.get(name);
      this.#shares.delete(name);
      await this.#discard(name);
    });
  }

  async #load(name: string): Promise<void> {
    const text = await unlessAbsent(readFile(join(this.#records, name, 'share.json'), 'utf8'));
    if (text === undefined) return;
    const { quotaGiB, metadata, changedAt } = JSON.parse(text) as { quotaGiB: number; metadata: Record<string, string>; changedAt: string };
    const share = this.#make(name, quotaGiB, metadata);
    share.changedAt = BigInt(changedAt);
    try {
      await share.folder.recover();
    } catch (error) {
      // The folder went first when the share was being deleted: the rest follows now.
      if (!failedWith(error, 'ENOENT')) throw error;
      return this.#discard(name);
    }
    this.#shares.set(name, share);
  }

  /** The exported folder goes first: a share without it is known to be on its way out. */
  async #discard(name: string): Promise<void> {
    const trash = join(this.#trash, randomUUID());
    await mkdir(trash);
    await unlessAbsent(rename(join(this.#files, name), join(trash, 'files')));
    await unlessAbsent(rename(join(this.#records, name), join(trash, 'records')));
    await rm(trash, { recursive: true, force: true });
  }

  #make(name: string, quotaGiB: number, metadata: Readonly<Record<string, string>>): EmulatedShare {
    const folder = new ShareFolder({ files: join(this.#files, name), records: join(this.#records, name), quotaBytes: () => share.quotaGiB * GiB });
    const share: EmulatedShare = { name, folder, quotaGiB, metadata, changedAt: nextTicks() };
    return share;
  }

  async #save({ name, quotaGiB, metadata, changedAt }: EmulatedShare): Promise<void> {
    await writeFileAtomically(join(this.#records, name, 'share.json'), JSON.stringify({ quotaGiB, metadata, changedAt: changedAt.toString() }));
  }

  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#changing.has(name)) throw new AzureFilesError('ShareBeingDeleted');
    this.#changing.add(name);
    try {
      return await work();
    } finally {
      this.#changing.delete(name);
    }
  }
}
