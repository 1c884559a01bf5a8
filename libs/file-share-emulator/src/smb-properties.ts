import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Exchange } from './exchange.js';
import { FILE_PERMISSION_KEY, FOLDER_PERMISSION_KEY, type PermissionFormat, type PermissionStore } from './storage/permission-store.js';
import type { Entry, SmbProperties } from './storage/entry.js';
import { nextTicks, parseTicks, type Ticks } from './storage/ticks.js';

const ATTRIBUTES = ['ReadOnly', 'Hidden', 'System', 'Directory', 'Archive', 'Temporary', 'Offline', 'NotContentIndexed', 'NoScrubData'];
/** `source` is for copies, which look at it themselves. */
const LEFT_AS_IT_IS = ['', 'preserve', 'source'];
/** A descriptor in a header; longer ones are registered first. */
const PERMISSION_HEADER_CHARACTERS_MAX = 8192;

/** Attributes of an entry for which none were set. */
export function defaultAttributes(kind: Entry['kind']): string {
  return kind === 'file' ? 'Archive' : 'Directory';
}

/** The key of the descriptor of an entry for which none was set. */
export function defaultPermissionKey(kind: Entry['kind']): string {
  return kind === 'file' ? FILE_PERMISSION_KEY : FOLDER_PERMISSION_KEY;
}

/**
 * Reads what a request says of attributes, times and permission. `preserve`, `inherit` and absence leave them as they are (of something new: the defaults);
 * a permission given in full is kept in `permissions`.
 * @throws {AzureFilesError} `InvalidHeaderValue`, `FileInvalidPermission`, `FileInvalidPermissionKey`
 */
export async function smbPropertiesOf(exchange: Exchange, permissions: PermissionStore): Promise<SmbProperties> {
  return {
    attributes: attributesOf(exchange),
    createdAt: timeOf(exchange, 'x-ms-file-creation-time'),
    writtenAt: timeOf(exchange, 'x-ms-file-last-write-time'),
    statusChangedAt: timeOf(exchange, 'x-ms-file-change-time'),
    permissionKey: await permissionKeyOf(exchange, permissions),
  };
}

/** The format in which a request gives or wants a permission. */
export function permissionFormat(exchange: Exchange): PermissionFormat {
  const text = exchange.header('x-ms-file-permission-format')?.toLowerCase() ?? 'sddl';
  if (text !== 'sddl' && text !== 'binary') throw invalidHeader('x-ms-file-permission-format', text);
  return text;
}

function attributesOf(exchange: Exchange): string | undefined {
  const text = exchange.header('x-ms-file-attributes');
  if (text === undefined || LEFT_AS_IT_IS.includes(text.toLowerCase())) return undefined;
  const names = text.split('|').map((name) => name.trim().toLowerCase());
  if (names.length === 1 && names[0] === 'none') return 'None';
  const known = ATTRIBUTES.filter((name) => names.includes(name.toLowerCase()));
  if (known.length !== names.length) throw invalidHeader('x-ms-file-attributes', text);
  return known.join(' | ');
}

function timeOf(exchange: Exchange, name: string): Ticks | undefined {
  const text = exchange.header(name);
  if (text === undefined || LEFT_AS_IT_IS.includes(text.toLowerCase())) return undefined;
  if (text.toLowerCase() === 'now') return nextTicks();
  const ticks = parseTicks(text);
  if (ticks === undefined) throw invalidHeader(name, text);
  return ticks;
}

async function permissionKeyOf(exchange: Exchange, permissions: PermissionStore): Promise<string | undefined> {
  const key = exchange.header('x-ms-file-permission-key');
  const permission = exchange.header('x-ms-file-permission');
  if (key !== undefined && permission !== undefined) throw invalidHeader('x-ms-file-permission-key', key);
  if (key !== undefined) {
    permissions.get(key);
    return key;
  }
  if (permission === undefined || ['inherit', 'preserve'].includes(permission.toLowerCase())) return undefined;
  if (permission.length > PERMISSION_HEADER_CHARACTERS_MAX) throw new AzureFilesError('FileInvalidPermission');
  return permissions.put({ permission, format: permissionFormat(exchange) });
}
