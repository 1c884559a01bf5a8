import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { AzureFilesError } from '../azure-error.js';
import { unlessAbsent, writeFileAtomically } from './atomic-file.js';

/** The two forms in which a security descriptor is written. */
export type PermissionFormat = 'sddl' | 'binary';

/** A security descriptor as a client gave it. */
export interface Permission {
  readonly permission: string;
  readonly format: PermissionFormat;
}

/** What new files and folders get when no permission is given; the same on every share of the real service. */
export const FILE_PERMISSION_KEY = '18334277426550052432*6255667487792660190';
/** As {@link FILE_PERMISSION_KEY}, for folders. */
export const FOLDER_PERMISSION_KEY = '4470876496940820823*6255667487792660190';
/** What the two default keys stand for: everything for the owner, the system and administrators, reading for users. */
const DEFAULT_PERMISSION: Permission = { permission: 'O:SYG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;AU)(A;OICI;0x1200a9;;;BU)', format: 'sddl' };
/** A descriptor given by header has at most 8 KiB, one that is registered at most 64 KiB (SDDL of several pages). */
export const PERMISSION_CHARACTERS_MAX = 65_536;
/** Distinct descriptors kept for one share. */
const PERMISSIONS_MAX = 10_000;
const SDDL = /^(?:[OG]:[A-Za-z0-9-]+|[DS]:[A-Z]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))*)+$/;
const BASE64 = /^[A-Za-z0-9+/]{27,}={0,2}$/;

/** The security descriptors of one share, by their keys. The same descriptor has the same key on every share. */
export class PermissionStore {
  readonly #path: string;
  readonly #permissions: Map<string, Permission>;
  #saving: Promise<void> = Promise.resolve();

  private constructor(path: string, permissions: Map<string, Permission>) {
    this.#path = path;
    this.#permissions = permissions;
  }

  /** Opens the descriptors kept in the file at `path`. */
  static async open(path: string): Promise<PermissionStore> {
    const text = await unlessAbsent(readFile(path, 'utf8'));
    const kept = text === undefined ? {} : (JSON.parse(text) as Record<string, Permission>);
    const defaults = { [FILE_PERMISSION_KEY]: DEFAULT_PERMISSION, [FOLDER_PERMISSION_KEY]: DEFAULT_PERMISSION };
    return new PermissionStore(path, new Map(Object.entries({ ...defaults, ...kept })));
  }

  /** @throws {AzureFilesError} `FileInvalidPermissionKey` */
  get(key: string): Permission {
    const permission = this.#permissions.get(key);
    if (permission === undefined) throw new AzureFilesError('FileInvalidPermissionKey');
    return permission;
  }

  /** Keeps a descriptor and returns its key. @throws {AzureFilesError} `FileInvalidPermission` */
  async put(permission: Permission): Promise<string> {
    const isValid = permission.format === 'sddl' ? SDDL.test(permission.permission) : BASE64.test(permission.permission);
    if (!isValid || permission.permission.length > PERMISSION_CHARACTERS_MAX) throw new AzureFilesError('FileInvalidPermission');
    const key = keyOf(permission);
    if (this.#permissions.has(key)) return key;
    if (this.#permissions.size >= PERMISSIONS_MAX) throw new AzureFilesError('FileInvalidPermission');
    this.#permissions.set(key, permission);
    // One after another: the last text has all of them.
    const saved = this.#saving.then(() => writeFileAtomically(this.#path, JSON.stringify(Object.fromEntries(this.#permissions))));
    this.#saving = saved.catch(() => undefined);
    await saved;
    return key;
  }
}

/** Two decimal 64-bit numbers, as the real service's keys look. */
function keyOf({ permission, format }: Permission): string {
  const hash = createHash('sha256').update(`${format}:${permission}`).digest();
  return `${hash.readBigUInt64LE(0)}*${hash.readBigUInt64LE(8)}`;
}
