import { AzureFilesError } from './azure-error.js';

/** What a request's URL points at. */
export interface Address {
  readonly account: string;
  /** Absent for the service itself. */
  readonly share?: string | undefined;
  /** Decoded, without a leading `/`; empty for the share or its root folder. */
  readonly path: string;
  /** The path of the URL as it was sent: signatures are over this. */
  readonly rawPath: string;
  /** Decoded parameters by lower-case name. */
  readonly query: ReadonlyMap<string, string>;
}

const PATH_CHARACTERS_MAX = 2048;
const COMPONENT_CHARACTERS_MAX = 255;
/** What ext4, xfs and btrfs take in one name; Azure counts characters only. */
const COMPONENT_BYTES_MAX = 255;
const COMPONENTS_MAX = 250;
const QUERY_PARAMETERS_MAX = 64;
const SHARE_NAME = /^(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*$/;
const FORBIDDEN = /["\\/:|<>*?\p{Cc}]/u;

/** How a target is to be read. */
export interface AddressReading {
  /** Without it the service drops dots at the end of names. */
  readonly keepTrailingDots: boolean;
  /** The `Host` of the request: `{account}.file.…` names the account, which is then not in the path. */
  readonly host?: string | undefined;
  /** The URL a file is renamed from. Microsoft's JavaScript client (12.31.0) leaves the account out of the URL it renames to: it is taken from here. */
  readonly renameSource?: string | undefined;
}

const ACCOUNT_HOST = /^([a-z0-9]{3,24})\.file\./i;

/** The account that a host name stands for (`acct.file.example.net`), if it is one of those. */
export function accountOfHost(host: string | undefined): string | undefined {
  return ACCOUNT_HOST.exec(host ?? '')?.[1]?.toLowerCase();
}

/**
 * Reads the target of a request: `/{account}/{share}/{path}?…`, or `/{share}/{path}?…` where the host names the account.
 * @throws {AzureFilesError} for everything that cannot name something on a share; nothing of it ever reaches the host's file system.
 */
export function parseAddress(target: string, reading: AddressReading): Address {
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const query = parseQuery(mark < 0 ? '' : target.slice(mark + 1));
  if (!rawPath.startsWith('/')) throw new AzureFilesError('InvalidUri');
  const trimmed = rawPath.replace(/\/$/, '').slice(1);
  const named = trimmed === '' ? [] : trimmed.split('/').map(decode);
  const hostAccount = accountOfHost(reading.host);
  const missing = hostAccount ?? (query.get('comp') === 'rename' ? accountLeftOut(named, reading.renameSource) : undefined);
  const [account = '', share, ...components] = missing === undefined ? named : [missing, ...named];
  if (share !== undefined && (share.length < 3 || share.length > 63)) throw new AzureFilesError('OutOfRangeInput');
  if (share !== undefined && !SHARE_NAME.test(share)) throw new AzureFilesError('InvalidResourceName');
  return { account, share, path: parsePath(components, reading.keepTrailingDots), rawPath, query };
}

function accountLeftOut(named: readonly string[], renameSource: string | undefined): string | undefined {
  const [account, share] = URL.parse(renameSource ?? '')?.pathname.slice(1).split('/') ?? [];
  return account !== named[0] && share === named[0] ? account : undefined;
}

function parsePath(decoded: readonly string[], keepTrailingDots: boolean): string {
  // Microsoft's Python client (12.11) sends the folders above a folder in one piece, with `%2F` between them.
  const sent = decoded.flatMap((part) => part.split('/'));
  if (sent.length > COMPONENTS_MAX) throw new AzureFilesError('InvalidFileOrDirectoryPathName');
  const components = sent.map((component) => {
    if (component === '.' || component === '..') throw new AzureFilesError('InvalidFileOrDirectoryPathName');
    return keepTrailingDots ? component : component.replace(/\.+$/, '');
  });
  const path = components.join('/');
  if (components.some((component) => !isComponent(component)) || path.length > PATH_CHARACTERS_MAX) throw new AzureFilesError('InvalidResourceName');
  return path;
}

function isComponent(text: string): boolean {
  if (text === '' || /^\.{1,2}$/.test(text) || FORBIDDEN.test(text)) return false;
  return text.length <= COMPONENT_CHARACTERS_MAX && Buffer.byteLength(text) <= COMPONENT_BYTES_MAX;
}

function parseQuery(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  const pairs = text === '' ? [] : text.split('&');
  if (pairs.length > QUERY_PARAMETERS_MAX) throw new AzureFilesError('InvalidUri');
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1).replaceAll('+', ' '));
    const before = query.get(name);
    query.set(name, before === undefined ? value : `${before},${value}`);
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new AzureFilesError('InvalidUri', { cause: error });
  }
}
