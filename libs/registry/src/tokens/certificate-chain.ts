import type { KeyObject, X509Certificate } from 'node:crypto';

import { certificateOf } from './verification-key.js';

/** Certificates in one chain: a leaf, some intermediates, a root. */
export const CHAIN_MAX = 6;

/**
 * The key of the leaf of an `x5c` header (RFC 7515 §4.1.6: DER in base64, the leaf first), when the chain ends at one of `roots`. Each certificate must be valid at `now`,
 * be issued and signed by the next, and be a CA unless it is the leaf; the last must be a root itself, or be signed by one. Revocation lists and name constraints are not looked at.
 * @returns undefined for every other chain.
 */
export function leafKeyOf(x5c: unknown, roots: readonly X509Certificate[], now: Date): KeyObject | undefined {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > CHAIN_MAX || roots.length === 0) return undefined;
  const chain = x5c.map((text) => (typeof text === 'string' ? certificateOf(Buffer.from(text, 'base64')) : undefined)).filter((each) => each !== undefined);
  const [leaf] = chain;
  if (leaf === undefined || chain.length !== x5c.length || !chain.every((each) => isValidAt(each, now))) return undefined;
  for (const [place, certificate] of chain.entries()) {
    if (place > 0 && !certificate.ca) return undefined;
    if (roots.some((root) => root.raw.equals(certificate.raw))) return leaf.publicKey;
    const issuer = chain[place + 1];
    if (issuer !== undefined && !isSignedBy(certificate, issuer)) return undefined;
    if (issuer === undefined) return roots.some((root) => root.ca && isValidAt(root, now) && isSignedBy(certificate, root)) ? leaf.publicKey : undefined;
  }
  return undefined;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isValidAt(certificate: X509Certificate, now: Date): boolean {
  return certificate.validFromDate <= now && now <= certificate.validToDate;
}
