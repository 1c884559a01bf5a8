import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { GiB } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import type { XmlElement } from '../xml-reader.js';
import { failedWith, unlessAbsent, writeFileAtomically } from './atomic-file.js';
import { DeletedShares } from './deleted-shares.js';
import { PathLocks } from './path-locks.js';
import { PermissionStore } from './permission-store.js';
import { ShareFolder } from './share-folder.js';
import { parseShareRecord, type ShareRecord, shareRecordText, type ShareSettings } from './share-record.js';
import { ShareSnapshots } from './share-snapshots.js';
import { nextTicks } from './ticks.js';

/** Folder of everything that is not exported, beside the accounts' folders; no account can have this name. */
export const RECORDS_FOLDER = '.records';

const SERVICE_FILE = 'service-properties.json';

/** A share and what is kept of it. */
export interface EmulatedShare {
  readonly name: string;
  readonly folder: ShareFolder;
  readonly snapshots: ShareSnapshots;
  readonly permissions: PermissionStore;
  record: ShareRecord;
}

/** What a new share is made with. */
export interface NewShare extends ShareSettings {
  readonly metadata: Readonly<Record<string, string>>;
}

/** Whether an account may have a share with these settings beside its others. @throws {AzureFilesError} where it may not */
export type SettingsCheck = (settings: ShareSettings, others: readonly EmulatedShare[]) => void;

/** What becomes of a share's record, as it is when its turn has come. @throws {AzureFilesError} where it may not be changed so */
export type RecordChange = (record: ShareRecord, others: readonly EmulatedShare[]) => Partial<ShareRecord>;

/** How a catalogue deletes. */
export interface DeletionRules {
  /** Days for which deleted shares can be restored; 0: not at all. */
  readonly retentionDays: number;
  /** How long the name of a deleted share is taken, in milliseconds. */
  readonly lingerMs: () => number;
}

/**
 * The shares of one account: `{root}/{account}/{share}/` is the exported tree, `{root}/.records/{account}/{share}/` the rest.
 * A share exists while its `share.json` does. Creating adopts a folder that is there already.
 */
export class ShareCatalogue {
  /** Shares that can be restored. */
  readonly deleted: DeletedShares;
  readonly #files: string;
  readonly #records: string;
  readonly #trash: string;
  readonly #rules: DeletionRules;
  #serviceProperties: readonly XmlElement[] = [];
  readonly #shares = new Map<string, EmulatedShare>();
  readonly #changing = new Set<string>();
  /** Shares are made, changed and restored one after the other: what an account may have, it may have of all of them together. */
  readonly #turns = new PathLocks();
  /** Names that are taken until an instant, by shares that are on their way out. */
  readonly #lingering = new Map<string, number>();

  private constructor(root: string, account: string, rules: DeletionRules) {
    this.#files = join(root, account);
    this.#records = join(root, RECORDS_FOLDER, account);
    this.#trash = join(root, RECORDS_FOLDER, account, '.deleted');
    this.#rules = rules;
    this.deleted = new DeletedShares(join(root, RECORDS_FOLDER, account, '.retained'), rules.retentionDays);
  }

  /** Opens the shares of `account` under `root` and finishes what a crash interrupted. */
  static async open(root: string, account: string, rules: DeletionRules = { retentionDays: 0, lingerMs: () => 0 }): Promise<ShareCatalogue> {
    const catalogue = new ShareCatalogue(root, account, rules);
    await mkdir(catalogue.#files, { recursive: true });
    await mkdir(catalogue.#trash, { recursive: true });
    await rm(catalogue.#trash, { recursive: true, force: true });
    await mkdir(catalogue.#trash);
    await catalogue.deleted.recover({ files: catalogue.#files, records: catalogue.#records });
    const properties = await unlessAbsent(readFile(join(catalogue.#records, SERVICE_FILE), 'utf8'));
    if (properties !== undefined) catalogue.#serviceProperties = JSON.parse(properties) as XmlElement[];
    for (const name of await readdir(catalogue.#records)) await catalogue.#load(name);
    return catalogue;
  }

  /** The share called `name`. @throws {AzureFilesError} `ShareNotFound` */
  get(name: string): EmulatedShare {
    const share = this.#shares.get(name);
    if (share === undefined) throw new AzureFilesError('ShareNotFound');
    return share;
  }

  /** The share called `name`, if there is one. */
  find(name: string): EmulatedShare | undefined {
    return this.#shares.get(name);
  }

  /** All shares by name. */
  list(): EmulatedShare[] {
    return [...this.#shares.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The account's service properties, as they were last set: the elements of their document. */
  get serviceProperties(): readonly XmlElement[] {
    return this.#serviceProperties;
  }

  /** Replaces the service properties. */
  async setServiceProperties(elements: readonly XmlElement[]): Promise<void> {
    await writeFileAtomically(join(this.#records, SERVICE_FILE), JSON.stringify(elements));
    this.#serviceProperties = elements;
  }

  /** Creates a share. @throws {AzureFilesError} `ShareAlreadyExists`, and what `check` throws */
  async create(name: string, wanted: NewShare, check: SettingsCheck = allowed): Promise<EmulatedShare> {
    return this.#inTurn(name, async () => {
      this.#checkFree(name);
      check(wanted, this.list());
      await mkdir(join(this.#files, name), { recursive: true });
      await mkdir(join(this.#records, name), { recursive: true });
      const share = await this.#open(name, { ...wanted, policies: [], changedAt: nextTicks() });
      await share.folder.recover();
      await this.#save(share);
      this.#shares.set(name, share);
      return share;
    });
  }

  /** Changes what is kept of a share. A lease leaves the ETag as it is. @throws {AzureFilesError} `ShareNotFound`, and what `change` throws */
  async change(name: string, change: RecordChange): Promise<EmulatedShare> {
    return this.#inTurn(name, async () => {
      const share = this.get(name);
      const changes = change(share.record, this.list().filter((other) => other !== share));
      const changedAt = Object.keys(changes).every((key) => key === 'lease') ? share.record.changedAt : nextTicks();
      share.record = { ...share.record, ...changes, changedAt };
      await this.#save(share);
      return share;
    });
  }

  /** Deletes a share with everything on it; it can be restored where deleted shares are retained. */
  async remove(name: string): Promise<void> {
    await this.#alone(name, async () => {
      const share = this.get(name);
      this.#shares.delete(name);
      this.#lingering.set(name, Date.now() + this.#rules.lingerMs());
      if (this.#rules.retentionDays > 0) await this.deleted.retain(share, { files: this.#files, records: this.#records });
      else await this.#discard(name);
    });
  }

  /** Restores a deleted share under its own name. @throws {AzureFilesError} `ShareAlreadyExists`, `ShareNotFound`, and what `check` throws */
  async restore(name: string, version: string, check: SettingsCheck = allowed): Promise<EmulatedShare> {
    return this.#inTurn(name, async () => {
      this.#checkFree(name);
      check(this.deleted.get(name, version).record, this.list());
      await this.deleted.restore(name, version, { files: this.#files, records: this.#records });
      await this.#load(name);
      return this.get(name);
    });
  }

  #checkFree(name: string): void {
    if (this.#shares.has(name)) throw new AzureFilesError('ShareAlreadyExists');
    if ((this.#lingering.get(name) ?? 0) > Date.now()) throw new AzureFilesError('ShareBeingDeleted');
    this.#lingering.delete(name);
  }

  async #load(name: string): Promise<void> {
    const text = await unlessAbsent(readFile(join(this.#records, name, 'share.json'), 'utf8'));
    if (text === undefined) return;
    const share = await this.#open(name, parseShareRecord(text));
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

  async #open(name: string, record: ShareRecord): Promise<EmulatedShare> {
    const records = join(this.#records, name);
    const snapshots = await ShareSnapshots.open(join(records, 'snapshots'));
    const permissions = await PermissionStore.open(join(records, 'permissions.json'));
    const quotaBytes = (): number => share.record.quotaGiB * GiB;
    const folder = new ShareFolder({ files: join(this.#files, name), records, quotaBytes, epoch: () => snapshots.newest });
    const share: EmulatedShare = { name, folder, snapshots, permissions, record };
    return share;
  }

  async #save({ name, record }: EmulatedShare): Promise<void> {
    await writeFileAtomically(join(this.#records, name, 'share.json'), shareRecordText(record));
  }

  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.hold('', 'exclusive', () => this.#alone(name, work));
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

function allowed(): void {
  // Whoever opens a catalogue without asking for Azure's limits has none.
}
