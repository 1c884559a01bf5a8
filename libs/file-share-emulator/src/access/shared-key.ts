import { MINUTE_MS } from '#quantities';

import { AzureFilesError } from '../azure-error.js';
import type { RequestHead } from '../exchange.js';
import { isSignatureOf } from './signing.js';

/** How far a request's date may be from ours. */
const SKEW_MAX_MS = 15 * MINUTE_MS;

/**
 * Checks the `Authorization: SharedKey account:signature` of a request.
 * @throws {AzureFilesError} `InvalidAuthenticationInfo`, `AuthenticationFailed`
 */
export function checkSharedKey(head: RequestHead, account: { readonly name: string; readonly key: string }, now: Date): void {
  const match = /^SharedKey ([^:\s]+):(\S+)$/.exec(head.headers.get('authorization') ?? '');
  if (match === null) throw new AzureFilesError('InvalidAuthenticationInfo');
  const date = Date.parse(head.headers.get('x-ms-date') ?? head.headers.get('date') ?? '');
  if (Number.isNaN(date) || Math.abs(date - now.getTime()) > SKEW_MAX_MS) throw refused('Request date header too old or absent.');
  const texts = [sharedKeyText(head, 'language-first'), sharedKeyText(head, 'encoding-first')];
  if (match[1] !== account.name || !isSignatureOf(match[2]!, texts, account.key)) {
    const found = match[2]!.slice(0, 100);
    throw refused(`The MAC signature found in the HTTP request '${found}' is not any computed signature. Server used following string to sign: '${texts[1]}'.`);
  }
}

/**
 * The text that SharedKey signs (Authorize with Shared Key, "Blob, Queue, and File Services"). Clients differ in which of
 * Content-Language and Content-Encoding comes first; both are empty in practice, and both orders are accepted.
 */
export function sharedKeyText(head: RequestHead, order: 'language-first' | 'encoding-first'): string {
  const header = (name: string): string => head.headers.get(name) ?? '';
  const length = header('content-length');
  const twoHeaders = [header('content-language'), header('content-encoding')];
  const lines = [
    head.method,
    ...(order === 'language-first' ? twoHeaders : twoHeaders.toReversed()),
    length === '0' ? '' : length,
    header('content-md5'),
    header('content-type'),
    header('x-ms-date') === '' ? header('date') : '',
    ...['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'].map(header),
  ];
  const ownHeaders = [...head.headers].filter(([name]) => name.startsWith('x-ms-')).toSorted(([a], [b]) => compare(a, b));
  const { account, rawPath, query } = head.address;
  const parameters = [...query].toSorted(([a], [b]) => compare(a, b)).map(([name, value]) => `\n${name}:${value}`);
  return `${lines.join('\n')}\n${ownHeaders.map(([name, value]) => `${name}:${value.trim()}\n`).join('')}/${account}${rawPath}${parameters.join('')}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function refused(detail: string): AzureFilesError {
  return new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: detail } });
}
