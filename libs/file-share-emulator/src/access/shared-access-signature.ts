import { BlockList } from 'node:net';

import { AzureFilesError } from '../azure-error.js';
import type { RequestHead } from '../exchange.js';
import type { Grant } from './grant.js';
import { isSignatureOf } from './signing.js';

/** From this version on, the text of an account SAS has a line for the encryption scope. */
const ENCRYPTION_SCOPE_VERSION = '2020-12-06';
/** `2026-11-20T12:00:00Z`, with or without seconds, fraction and time, as Azure accepts it. */
const INSTANT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?Z)?$/;

/**
 * Checks the shared access signature in a request's URL: signature, times, protocol and address.
 * @returns what it allows.
 * @throws {AzureFilesError}
 */
export function checkSharedAccessSignature(head: RequestHead, account: { readonly name: string; readonly key: string }, now: Date): Grant {
  const query = (name: string): string => head.address.query.get(name) ?? '';
  if (query('skoid') !== '') throw refused('User delegation keys are not offered here.');
  if (query('si') !== '') throw refused('Stored access policies are not offered here.');
  const isAccountSas = query('ss') !== '';
  const texts = isAccountSas ? [accountText(account.name, query)] : serviceTexts(head, query);
  if (!isSignatureOf(query('sig'), texts, account.key)) throw refused(`Signature did not match. String to sign used was ${texts[0] ?? ''}`);
  checkTimes(query('st'), query('se'), now);
  checkOrigin(head, query);
  if (!isAccountSas) return { kind: 'service-sas', permissions: query('sp'), resource: query('sr') === 's' ? 's' : 'f' };
  if (!query('ss').includes('f')) throw new AzureFilesError('AuthorizationServiceMismatch');
  return { kind: 'account-sas', permissions: query('sp'), levels: query('srt') };
}

/** The text that an account SAS signs (Create an account SAS). */
function accountText(account: string, query: (name: string) => string): string {
  const names = ['sp', 'ss', 'srt', 'st', 'se', 'sip', 'spr', 'sv'];
  if (query('sv') >= ENCRYPTION_SCOPE_VERSION) names.push('ses');
  return `${[account, ...names.map(query)].join('\n')}\n`;
}

/** The text that a service SAS signs (Create a service SAS): over the share, or over the file the request is for. */
function serviceTexts(head: RequestHead, query: (name: string) => string): string[] {
  const { account, share, path } = head.address;
  const resource = query('sr');
  if (share === undefined || (resource !== 's' && resource !== 'f')) throw refused('sr is mandatory. Cannot be empty');
  const canonical = `/file/${account}/${share}${resource === 'f' ? `/${path}` : ''}`;
  const names = ['si', 'sip', 'spr', 'sv', 'rscc', 'rscd', 'rsce', 'rscl', 'rsct'];
  return [[query('sp'), query('st'), query('se'), canonical, ...names.map(query)].join('\n')];
}

function checkTimes(start: string, expiry: string, now: Date): void {
  const startAt = start === '' ? Number.NEGATIVE_INFINITY : instant(start);
  const expiryAt = instant(expiry);
  if (!(startAt <= now.getTime() && now.getTime() < expiryAt)) {
    throw refused(`Signature not valid in the specified time frame: Start [${start}] - Expiry [${expiry}] - Current [${now.toUTCString()}]`);
  }
}

/** Not a number for a text that is no instant, which no comparison lets pass. */
function instant(text: string): number {
  return INSTANT.test(text) ? Date.parse(text.length > 10 && text.length < 19 ? text.replace('Z', ':00Z') : text) : Number.NaN;
}

function checkOrigin(head: RequestHead, query: (name: string) => string): void {
  if (query('spr') === 'https' && !head.secure) throw new AzureFilesError('AuthorizationProtocolMismatch');
  const [first = '', last = first] = query('sip').split('-');
  if (first !== '' && !isBetween(head.remoteAddress, first, last)) {
    throw new AzureFilesError('AuthorizationSourceIPMismatch', { elements: { SourceIP: head.remoteAddress } });
  }
}

function isBetween(address: string, first: string, last: string): boolean {
  const list = new BlockList();
  try {
    list.addRange(first, last, first.includes(':') ? 'ipv6' : 'ipv4');
    return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
  } catch (error) {
    throw new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: 'sip is not a range of addresses' }, cause: error });
  }
}

function refused(detail: string): AzureFilesError {
  return new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: detail } });
}
