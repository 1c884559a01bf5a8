import type { ServiceToken } from './service-token.js';

/** Tokens that may hold at a time: every process keeps them in memory and reads them whole. Creations at the same instant may exceed it by their number. */
export const SERVICE_TOKENS_MAX = 1000;

/** Where a page ended: the last token's place in the order of listing. */
export interface TokenCursor {
  readonly createdAt: Date;
  readonly id: string;
}

/** A token with what is kept of its secret. */
export interface KeptToken {
  readonly token: ServiceToken;
  /** sha256 of the secret text, 32 bytes. */
  readonly secretHash: Uint8Array;
}

/** All tokens that are not revoked, as of one instant. */
export interface TokenReading {
  /** Another text after every creation, revocation and removal. */
  readonly version: string;
  readonly tokens: readonly KeptToken[];
}

/**
 * Keeps service tokens. A token is made once, and ends by revocation or by its expiry; it is shown for some time after that, and removed by `prune`.
 * What changes who may be let in changes the version, within the same transaction: whoever has seen a version knows everything that was done before it.
 */
export abstract class ServiceTokenStore {
  /** Stores a token, checked by `checkServiceToken`. @throws {AccessError} `TOKEN_INVALID`, `TOKENS_TOO_MANY`. */
  abstract create(kept: KeptToken): Promise<ServiceToken>;

  /** The token, whether it holds or not. */
  abstract get(id: string): Promise<ServiceToken | undefined>;

  /** Up to `limit` tokens after a place, the oldest first, ties by id. */
  abstract list(query: { readonly after?: TokenCursor | undefined; readonly limit: number }): Promise<readonly ServiceToken[]>;

  /** Ends a token. Repeating it changes nothing, also not the instant. @returns the token; undefined when there is none. */
  abstract revoke(id: string, at: Date): Promise<ServiceToken | undefined>;

  /** The version now: one row is read. Never delayed by other transactions. */
  abstract version(): Promise<string>;

  /** Version and tokens of one instant. */
  abstract read(): Promise<TokenReading>;

  /** Notes when tokens were last let in; an earlier instant than the noted one changes nothing, and neither does an unknown id. The version stays. */
  abstract noteUses(uses: ReadonlyMap<string, Date>): Promise<void>;

  /** Removes up to `limit` tokens that ended before `before`. @returns how many went. */
  abstract prune(before: Date, limit: number): Promise<number>;
}
