import { createHash, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';

import { calculateJwkThumbprint } from 'jose';

import { RegistryError } from '../registry-error.js';

/** A public key by which tokens of a registry may be signed. */
export interface VerificationKey {
  readonly key: KeyObject;
  /** Every `kid` that means it: its own, its RFC 7638 thumbprint, and its libtrust fingerprint, which distribution's token services use. */
  readonly ids: ReadonlySet<string>;
  /** The JWS algorithms that it may verify: those of its own kind only, so that no public key is ever taken for the secret of an HMAC. */
  readonly algorithms: readonly string[];
}

/** The keys of one source, and the certificates whose chains are trusted. */
export interface VerificationKeys {
  readonly keys: readonly VerificationKey[];
  /** Certificates of the source: a token's `x5c` chain must end at one of them. */
  readonly roots: readonly X509Certificate[];
}

/** Keys of one source: more than any registry rotates through. */
export const TOKEN_KEYS_MAX = 64;

const PEM_BLOCK = /-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----[^-]+-----END \1-----/g;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * Reads keys from the text of a JWK set (RFC 7517 §5), or from PEM blocks: public keys and certificates, any number of each. Members of a set that cannot
 * verify signatures (symmetric ones, those for encryption, kinds that are not known) are passed over.
 * @throws {RegistryError} `TOKEN_KEYS_INVALID` for a text that is neither, or has no key, or too many.
 */
export async function parseVerificationKeys(text: string): Promise<VerificationKeys> {
  const found = text.trimStart().startsWith('{') ? await keysOfSet(text) : await keysOfPem(text);
  if (found.keys.length === 0) throw new RegistryError('TOKEN_KEYS_INVALID', 'there is no public key in it by which signatures can be verified');
  if (found.keys.length > TOKEN_KEYS_MAX) throw new RegistryError('TOKEN_KEYS_INVALID', `it has ${found.keys.length} keys, and may have ${TOKEN_KEYS_MAX}`);
  return found;
}

async function keysOfSet(text: string): Promise<VerificationKeys> {
  let members: unknown;
  try {
    ({ keys: members } = JSON.parse(text) as { keys?: unknown });
  } catch (cause) {
    throw new RegistryError('TOKEN_KEYS_INVALID', 'it is no JSON', { cause });
  }
  if (!Array.isArray(members)) throw new RegistryError('TOKEN_KEYS_INVALID', 'it is no JWK set: it has no list of keys');
  const keys: VerificationKey[] = [];
  for (const jwk of members.slice(0, TOKEN_KEYS_MAX + 1) as JsonWebKey[]) {
    if (typeof jwk !== 'object' || jwk === null || (jwk['use'] ?? 'sig') !== 'sig') continue;
    const key = publicKeyOf({ key: jwk, format: 'jwk' });
    if (key === undefined) continue;
    const named = typeof jwk['alg'] === 'string' ? [jwk['alg']] : undefined;
    keys.push(...(await verificationKey(key, typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined, named)));
  }
  return { keys, roots: [] };
}

async function keysOfPem(text: string): Promise<VerificationKeys> {
  const keys: VerificationKey[] = [];
  const roots: X509Certificate[] = [];
  for (const [block, kind] of [...text.matchAll(PEM_BLOCK)].slice(0, TOKEN_KEYS_MAX + 1)) {
    const certificate = kind === 'CERTIFICATE' ? certificateOf(block) : undefined;
    if (certificate !== undefined) roots.push(certificate);
    const key = certificate?.publicKey ?? (kind === 'CERTIFICATE' ? undefined : publicKeyOf(block));
    if (key === undefined) throw new RegistryError('TOKEN_KEYS_INVALID', `a PEM block of it is no ${String(kind).toLowerCase()}`);
    keys.push(...(await verificationKey(key)));
  }
  return { keys, roots };
}

/** The key as one to verify with; none when it is of a kind, or a size, that signatures are not taken from. */
export async function verificationKey(key: KeyObject, kid?: string, named?: readonly string[]): Promise<VerificationKey[]> {
  const own = algorithmsOf(key);
  const algorithms = named === undefined ? own : own.filter((algorithm) => named.includes(algorithm));
  if (algorithms.length === 0) return [];
  const thumbprint = await calculateJwkThumbprint(key.export({ format: 'jwk' }) as Parameters<typeof calculateJwkThumbprint>[0]);
  return [{ key, algorithms, ids: new Set([thumbprint, libtrustFingerprint(key), ...(kid === undefined ? [] : [kid])]) }];
}

/** How docker's libtrust names a key: the first 240 bits of sha256 of its DER form, in base32, twelve groups of four. */
export function libtrustFingerprint(key: KeyObject): string {
  const digest = createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest().subarray(0, 30);
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = (bits.match(/.{5}/g) ?? []).map((five) => BASE32[Number.parseInt(five, 2)]).join('');
  return (letters.match(/.{4}/g) ?? []).join(':');
}

/** RSA below 2048 bits verifies nothing (RFC 7518 §3.3). */
const RSA_BITS_MIN = 2048;
const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const EC_ALGORITHMS: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

function algorithmsOf(key: KeyObject): readonly string[] {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  const kind = key.asymmetricKeyType;
  if (kind === 'rsa' && modulusLength >= RSA_BITS_MIN) return RSA_ALGORITHMS;
  if (kind === 'ec' && EC_ALGORITHMS[namedCurve] !== undefined) return [EC_ALGORITHMS[namedCurve]];
  return kind === 'ed25519' ? ['EdDSA', 'Ed25519'] : [];
}

function publicKeyOf(input: Parameters<typeof createPublicKey>[0]): KeyObject | undefined {
  try {
    return createPublicKey(input);
  } catch {
    // A symmetric key, a kind that is not known, or no key at all: nothing to verify with.
    return undefined;
  }
}

/** A certificate from PEM or DER; undefined when it is none. */
export function certificateOf(input: string | Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(input);
  } catch {
    // Whoever asked decides what it means that it is none.
    return undefined;
  }
}
