import { generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto';

import { MINUTE_MS, SECOND_MS } from '#quantities';

import { STORAGE_AUDIENCE, type TokenIssuer, type TokenRole } from '../access/bearer-token.js';
import { makeCertificate } from '../tls/self-made-certificate.js';

/** What a test wants a token to say; the defaults make one that is taken. */
export interface TestClaims {
  readonly oid?: string;
  readonly tid?: string;
  readonly aud?: string;
  readonly iss?: string;
  readonly issuedAt?: Date;
  readonly lifeMs?: number;
}

/** An issuer of tokens of its own, as Entra ID is one: an emulator that is started with `options` takes its tokens. */
export class TestIssuer {
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #url: string;

  constructor(url = 'https://issuer.test/tenant') {
    this.#url = url;
  }

  /** What an emulator has to be started with. */
  options(roles?: Readonly<Record<string, TokenRole>>): TokenIssuer {
    const jwk: JsonWebKey & { kid?: string } = { ...this.#keys.publicKey.export({ format: 'jwk' }), kid: 'test' };
    return { url: this.#url, keys: [jwk], roles };
  }

  /** Signs a token. */
  token({ oid = 'someone', tid = 'tenant', aud = STORAGE_AUDIENCE, iss = this.#url, issuedAt = new Date(), lifeMs = 60 * MINUTE_MS }: TestClaims = {}): string {
    const at = Math.floor(issuedAt.getTime() / SECOND_MS);
    const text = [{ alg: 'RS256', typ: 'JWT', kid: 'test' }, { iss, aud, oid, tid, sub: oid, iat: at, nbf: at, exp: at + Math.floor(lifeMs / SECOND_MS) }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${sign('RSA-SHA256', Buffer.from(text), this.#keys.privateKey).toString('base64url')}`;
  }

  /** A credential for the Azure SDKs that gives tokens of this issuer. */
  credential(claims: TestClaims = {}): { getToken(): Promise<{ token: string; expiresOnTimestamp: number }> } {
    return { getToken: async () => ({ token: this.token(claims), expiresOnTimestamp: Date.now() + (claims.lifeMs ?? 60 * MINUTE_MS) }) };
  }
}

/** A certificate for the loopback address with its key, in PEM. */
export function makeTestCertificate(): { readonly certificate: string; readonly key: string } {
  return makeCertificate(['localhost', '127.0.0.1'], new Date());
}
