import { randomInt, randomUUID } from 'node:crypto';

import { AzureFilesError } from '../azure-error.js';
import { folded } from './host-tree.js';

/** Handles that may be open on one file or folder (Azure: 2,000), and on the root folder. */
const HANDLES_MAX = 2000;
const ROOT_HANDLES_MAX = 10_000;

/** What others may still do with a file that somebody holds open. */
export type Sharing = 'read' | 'read-write' | 'read-write-delete';

/** A file or folder that a client holds open over SMB, as the handle listing shows it. */
export interface OpenHandle {
  /** A decimal number. */
  readonly id: string;
  readonly path: string;
  readonly sessionId: string;
  readonly clientIp: string;
  readonly clientName: string;
  readonly openedAt: Date;
  readonly sharing: Sharing;
}

/** The handles that are open on one share. They live in memory: a restart closes them, as a restart of the service does. */
export class OpenHandles {
  readonly #handles = new Map<string, OpenHandle>();

  /** Opens a handle on `path`. @throws {AzureFilesError} `HandleLimitExceeded` */
  open(path: string, by: { readonly clientIp: string; readonly clientName: string; readonly sharing: Sharing }): OpenHandle {
    if (this.#on(path).length >= (path === '' ? ROOT_HANDLES_MAX : HANDLES_MAX)) throw new AzureFilesError('HandleLimitExceeded');
    const id = (BigInt(randomInt(1, 2 ** 31)) * 4_294_967_296n + BigInt(randomInt(2 ** 32))).toString();
    const handle = { id, path, sessionId: randomUUID(), openedAt: new Date(), ...by };
    this.#handles.set(id, handle);
    return handle;
  }

  /** Closes a handle; false when it is not open. */
  close(id: string): boolean {
    return this.#handles.delete(id);
  }

  /** Handles on `path`, and on everything in it where `recursive`; in the order of their opening. */
  list(path: string, recursive: boolean): OpenHandle[] {
    return recursive ? [...this.#handles.values()].filter((handle) => isWithin(handle.path, path)) : this.#on(path);
  }

  /** @throws {AzureFilesError} `SharingViolation` when somebody holds `path` open who does not share this use of it. */
  checkUse(path: string, use: 'write' | 'delete'): void {
    const allowed: readonly Sharing[] = use === 'write' ? ['read-write', 'read-write-delete'] : ['read-write-delete'];
    if (this.#handles.size > 0 && this.#on(path).some((handle) => !allowed.includes(handle.sharing))) throw new AzureFilesError('SharingViolation');
  }

  /** Whether anything in the folder `path` is open. */
  hasWithin(path: string): boolean {
    return this.#handles.size > 0 && this.list(path, true).length > 0;
  }

  #on(path: string): OpenHandle[] {
    return [...this.#handles.values()].filter((handle) => folded(handle.path) === folded(path));
  }
}

function isWithin(path: string, folder: string): boolean {
  return folder === '' || folded(path) === folded(folder) || folded(path).startsWith(`${folded(folder)}/`);
}
