import { ExpansionError, refuseEntry, refuseSize } from './expansion-error.js';
import { MAX_GLOBAL_BYTES, MAX_GLOBAL_RECORDS, MAX_XATTRS } from './expansion-limits.js';

const XATTR_PREFIX = 'SCHILY.xattr.';
const LIBARCHIVE_PREFIX = 'LIBARCHIVE.xattr.';
const SPARSE_MAP = 'GNU.sparse.map';
/** Security descriptors and attributes, in the layers of Windows images alone. */
const WINDOWS_PREFIX = 'MSWINDOWS.';
/** The keywords that are read; any other is skipped. */
const KEYWORDS: ReadonlySet<string> = new Set([
  'path', 'linkpath', 'size', 'uid', 'gid', 'mtime', 'SCHILY.devmajor', 'SCHILY.devminor',
  'GNU.sparse.major', 'GNU.sparse.minor', 'GNU.sparse.name', 'GNU.sparse.size', 'GNU.sparse.realsize', SPARSE_MAP,
]);
const LINE_FEED = 0x0a;
const SPACE = 0x20;
/** Digits of a record's length: an extension header of 1 MiB needs seven. */
const MAX_LENGTH_DIGITS = 8;

/**
 * Extension records by keyword (POSIX.1-2017, pax, "pax Extended Header"): those that are read here, and attributes. A key is one character
 * per byte; an empty value takes back what an earlier record said.
 */
export type PaxRecords = Map<string, Buffer>;

/**
 * Reads the records of one extension header, `"%d %s=%s\n", length, keyword, value`, over those that are already there.
 * @param entry what to name in a refusal.
 * @throws {ExpansionError} `TAR_INVALID` for malformed records, `LAYER_UNSUPPORTED` for a Windows layer,
 * `TOO_LARGE` for too many attributes.
 */
export function readPaxRecords(bytes: Buffer, records: PaxRecords, entry: string): void {
  const sparseNumbers: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(SPACE, at);
    const digits = space < 0 || space - at > MAX_LENGTH_DIGITS ? '' : bytes.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space + 1);
    if (!/^[0-9]+$/.test(digits) || end > bytes.length || bytes[end - 1] !== LINE_FEED || equals <= space + 1 || equals >= end) {
      throw refuseEntry('TAR_INVALID', entry, 'has a malformed extension record');
    }
    const keyword = bytes.toString('latin1', space + 1, equals);
    if (keyword.startsWith(WINDOWS_PREFIX)) throw new ExpansionError('LAYER_UNSUPPORTED', 'the layer is of a Windows image', { details: { entry } });
    const isXattr = keyword.startsWith(XATTR_PREFIX) || keyword.startsWith(LIBARCHIVE_PREFIX);
    if (keyword === 'GNU.sparse.offset' || keyword === 'GNU.sparse.numbytes') sparseNumbers.push(bytes.toString('latin1', equals + 1, end - 1));
    else if (isXattr || KEYWORDS.has(keyword)) records.set(keyword, Buffer.from(bytes.subarray(equals + 1, end - 1)));
    if (records.size > MAX_XATTRS + KEYWORDS.size) throw refuseSize('MAX_XATTRS', MAX_XATTRS, entry);
    at = end;
  }
  // Form 0.0 of sparse files repeats two keywords, one pair for each run of stored bytes; form 0.1 lists the same numbers in one record.
  if (sparseNumbers.length > 0) records.set(SPARSE_MAP, Buffer.from(sparseNumbers.join(','), 'latin1'));
}

/**
 * Reads the records of one global header over those of the ones before it.
 * @throws {ExpansionError} as {@link readPaxRecords}, and `TOO_LARGE` when all of them together are more than may apply to every entry.
 */
export function readGlobalRecords(bytes: Buffer, records: PaxRecords, entry: string): void {
  readPaxRecords(bytes, records, entry);
  if (records.size > MAX_GLOBAL_RECORDS) throw refuseSize('MAX_GLOBAL_RECORDS', MAX_GLOBAL_RECORDS, entry);
  let total = 0;
  for (const [keyword, value] of records) total += keyword.length + value.length;
  if (total > MAX_GLOBAL_BYTES) throw refuseSize('MAX_GLOBAL_BYTES', MAX_GLOBAL_BYTES, entry);
}

/** A text record, or undefined when there is none; one character per byte. */
export function paxText(records: PaxRecords, keyword: 'path' | 'linkpath' | 'GNU.sparse.name'): string | undefined {
  const value = records.get(keyword);
  return value === undefined || value.length === 0 ? undefined : value.toString('latin1');
}

/** A whole number ≥ 0, or undefined when there is none. @throws {ExpansionError} `TAR_INVALID` for anything that is no safe integer. */
export function paxInteger(records: PaxRecords, keyword: 'size' | 'uid' | 'gid' | 'SCHILY.devmajor' | 'SCHILY.devminor', entry: string): number | undefined {
  const value = records.get(keyword);
  if (value === undefined || value.length === 0) return undefined;
  const text = value.toString('latin1');
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(number)) throw refuseEntry('TAR_INVALID', entry, `has an extension record ${keyword} that is no number`);
  return number;
}

/**
 * The modification time: decimal seconds with any number of decimals, also negative; what is finer than a nanosecond is cut towards the past.
 * @throws {ExpansionError} `TAR_INVALID` for anything else.
 */
export function paxTime(records: PaxRecords, entry: string): { readonly seconds: number; readonly nanoseconds: number } | undefined {
  const value = records.get('mtime');
  if (value === undefined || value.length === 0) return undefined;
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value.toString('latin1'));
  if (match === null) throw refuseEntry('TAR_INVALID', entry, 'has an extension record mtime that is no time');
  const [, sign, whole, decimals = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(decimals.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  const finer = /[1-9]/.test(decimals.slice(9)) ? 1 : 0;
  const behind = nanoseconds + finer;
  return behind === 0 ? { seconds: -seconds, nanoseconds: 0 } : { seconds: -seconds - 1, nanoseconds: 1e9 - behind };
}

/** The extended attributes by full name. The two vendors' records of one attribute say the same; `SCHILY`'s, which are not encoded, go first. */
export function paxXattrs(records: PaxRecords): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [keyword, value] of records) {
    if (keyword.startsWith(XATTR_PREFIX)) {
      xattrs.set(keyword.slice(XATTR_PREFIX.length), value);
    } else if (keyword.startsWith(LIBARCHIVE_PREFIX)) {
      const name = keyword.slice(LIBARCHIVE_PREFIX.length).replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
      if (!records.has(XATTR_PREFIX + name)) xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  return xattrs;
}
