import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';

import { MINUTE_MS, SECOND_MS } from '#quantities';

import { AzureFilesError } from '../azure-error.js';

/** The audience of tokens for Azure Storage. */
export const STORAGE_AUDIENCE = 'https://storage.azure.com';
/** How far the issuer's clock may be from ours. */
const SKEW_MAX_MS = 5 * MINUTE_MS;
const TOKEN_CHARACTERS_MAX = 8192;
const ALGORITHMS: Readonly<Record<string, string>> = { RS256: 'RSA-SHA256', RS384: 'RSA-SHA384', RS512: 'RSA-SHA512', ES256: 'SHA256', ES384: 'SHA384' };

/** What a role lets its holder do, as Azure's two data roles for files do: everything on all shares, or reading only. */
export type TokenRole = 'reader' | 'contributor';
const PERMISSIONS: Readonly<Record<TokenRole, string>> = { reader: 'rl', contributor: 'rcwdl' };

/** The issuer whose tokens an emulator takes. */
export interface TokenIssuer {
  /** The `iss` of its tokens. */
  readonly url: string;
  /** Its public keys, as in the `keys` of a JSON Web Key Set. */
  readonly keys: readonly (JsonWebKey & { readonly kid?: string })[];
  /** The `aud` its tokens must have; default {@link STORAGE_AUDIENCE}, with or without a slash at the end. */
  readonly audience?: string | undefined;
  /** Role by object id (`oid`). Without this, everybody is a contributor; with it, everybody else may do nothing. */
  readonly roles?: Readonly<Record<string, TokenRole>> | undefined;
}

/** Who a token speaks for. */
export interface Identity {
  readonly objectId: string;
  readonly tenantId: string;
  /** Letters as in a signature: `rcwdl`, `rl` or none. */
  readonly permissions: string;
}

interface Claims {
  readonly iss?: unknown;
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly nbf?: unknown;
  readonly oid?: unknown;
  readonly sub?: unknown;
  readonly tid?: unknown;
}

/** Verifies JSON Web Tokens of one issuer. */
export class TokenVerifier {
  readonly #issuer: TokenIssuer;
  readonly #keys: ReadonlyMap<string, KeyObject>;

  /** @throws {Error} for a key that is none. */
  constructor(issuer: TokenIssuer) {
    this.#issuer = issuer;
    this.#keys = new Map(issuer.keys.map((jwk) => [jwk.kid ?? '', createPublicKey({ key: jwk, format: 'jwk' })]));
  }

  /** The `WWW-Authenticate` of requests without a credential, from which clients learn where to ask for a token. */
  get challenge(): string {
    return `Bearer authorization_uri=${this.#issuer.url} resource_id=${this.#issuer.audience ?? STORAGE_AUDIENCE}`;
  }

  /** What the identity `objectId` may do now. */
  permissionsOf(objectId: string): string {
    const { roles } = this.#issuer;
    const role = roles === undefined ? 'contributor' : Object.hasOwn(roles, objectId) ? roles[objectId] : undefined;
    return role === undefined ? '' : PERMISSIONS[role];
  }

  /** @throws {AzureFilesError} `InvalidAuthenticationInfo` (401) with the reason. */
  verify(token: string, now: Date): Identity {
    const claims = this.#claims(token);
    if (claims.iss !== this.#issuer.url) throw this.#refused('Issuer validation failed');
    const audience = (this.#issuer.audience ?? STORAGE_AUDIENCE).replace(/\/$/, '');
    if (typeof claims.aud !== 'string' || claims.aud.replace(/\/$/, '') !== audience) throw this.#refused('Audience validation failed. Audience did not match');
    const at = now.getTime();
    const expiresAt = typeof claims.exp === 'number' ? claims.exp * SECOND_MS : Number.NaN;
    if (!(at < expiresAt + SKEW_MAX_MS)) throw this.#refused('Lifetime validation failed. The token is expired');
    if (typeof claims.nbf === 'number' && at < claims.nbf * SECOND_MS - SKEW_MAX_MS) throw this.#refused('Lifetime validation failed. The token is not valid yet');
    const objectId = typeof claims.oid === 'string' ? claims.oid : claims.sub;
    if (typeof objectId !== 'string' || objectId === '') throw this.#refused('The token names nobody');
    return { objectId, tenantId: typeof claims.tid === 'string' ? claims.tid : '', permissions: this.permissionsOf(objectId) };
  }

  #claims(token: string): Claims {
    const [head = '', body = '', signature = '', ...more] = token.length <= TOKEN_CHARACTERS_MAX ? token.split('.') : [];
    const header = parseObject(head);
    const claims = parseObject(body);
    if (header === undefined || claims === undefined || signature === '' || more.length > 0) throw this.#refused('The token is not a signed JSON Web Token');
    const algorithm = typeof header['alg'] === 'string' && Object.hasOwn(ALGORITHMS, header['alg']) ? ALGORITHMS[header['alg']] : undefined;
    const key = this.#keys.get(typeof header['kid'] === 'string' ? header['kid'] : '');
    const isElliptic = String(header['alg']).startsWith('ES');
    if (algorithm === undefined || key === undefined || (key.asymmetricKeyType === 'ec') !== isElliptic) throw this.#refused('Signature validation failed. The key is unknown');
    const isRight = verify(algorithm, Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
    if (!isRight) throw this.#refused('Signature validation failed');
    return claims;
  }

  #refused(detail: string): AzureFilesError {
    return new AzureFilesError('InvalidAuthenticationInfo', {
      status: 401, headers: { 'www-authenticate': this.challenge }, elements: { AuthenticationErrorDetail: detail },
    });
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
