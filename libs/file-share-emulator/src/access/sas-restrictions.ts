import { BlockList } from 'node:net';

import { AzureFilesError } from '../azure-error.js';
import type { RequestHead } from '../exchange.js';

/** `2026-11-20T12:00:00Z`, with or without seconds, fraction and time, as Azure accepts it. */
const INSTANT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?Z)?$/;

/** Reads a parameter of a signed URL; empty for one that is not there. */
export type SasQuery = (name: string) => string;

/** The parameters of a request's URL. */
export function sasQuery(head: RequestHead): SasQuery {
  return (name) => head.address.query.get(name) ?? '';
}

/** @throws {AzureFilesError} `AuthenticationFailed` unless `start` (or empty) ≤ `now` < `expiry`. */
export function checkTimes(start: string, expiry: string, now: Date): void {
  const startAt = start === '' ? Number.NEGATIVE_INFINITY : instantOf(start);
  const expiryAt = instantOf(expiry);
  if (!(startAt <= now.getTime() && now.getTime() < expiryAt)) {
    throw sasRefused(`Signature not valid in the specified time frame: Start [${start}] - Expiry [${expiry}] - Current [${now.toUTCString()}]`);
  }
}

/** Milliseconds since the epoch; not a number for a text that is no instant, which no comparison lets pass. */
export function instantOf(text: string): number {
  return INSTANT.test(text) ? Date.parse(text.length > 10 && text.length < 19 ? text.replace('Z', ':00Z') : text) : Number.NaN;
}

/** @throws {AzureFilesError} for another protocol or address than the signature names. */
export function checkOrigin(head: RequestHead, query: SasQuery): void {
  const protocol = query('spr');
  if (protocol !== '' && protocol !== 'https' && protocol !== 'https,http') throw sasRefused('spr is neither https nor https,http');
  if (protocol === 'https' && !head.secure) throw new AzureFilesError('AuthorizationProtocolMismatch');
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

/** A signature that is refused, with the reason. */
export function sasRefused(detail: string): AzureFilesError {
  return new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: detail } });
}

/** The refusal of a signature that is not the one of `text`. */
export function notSigned(text: string): AzureFilesError {
  return sasRefused(`Signature did not match. String to sign used was ${text}`);
}
