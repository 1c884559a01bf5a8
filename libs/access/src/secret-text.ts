import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** The random bytes of a token: 256 bits cannot be guessed, however fast digests are computed. */
const SECRET_BYTES = 32;
/** `tl1_`, the id's 32 hexadecimal digits, `_`, the secret in base64url: a form that scanners for leaked secrets can tell. */
const TOKEN_TEXT = /^tl1_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;
/** RFC 6750's b64token, as far as printable: what may stand behind `Bearer`. The shortest that can be a token, and the longest. */
const BEARER = /^Bearer +([\x21-\x7e]{1,16384})$/i;

/** A new secret for the token with this id: the text that its holder shows. Kept nowhere. */
export function newSecretText(id: string): string {
  return `tl1_${id.replaceAll('-', '')}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** The token's id that a text names, as 32 hexadecimal digits; undefined when it is no token of this form. That proves nothing: the digest does. */
export function idIn(text: string): string | undefined {
  return TOKEN_TEXT.exec(text)?.[1];
}

/** What is kept of a secret: sha256 of its text. Enough for a text of 256 random bits; a password would need a slow hash, because it can be guessed. */
export function secretHashOf(text: string): Buffer {
  // By way of its digits: asking for bytes costs several times as much, and this is asked with every request.
  return Buffer.from(hash('sha256', text, 'hex'), 'hex');
}

/** Compares two digests in a time that tells nothing of where they differ. */
export function sameHash(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}

/** What stands behind `Bearer` in an Authorization header; undefined for every other header. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}
