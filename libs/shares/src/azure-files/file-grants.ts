import { generateFileSASQueryParameters, FileSASPermissions, SASProtocol, type StorageSharedKeyCredential } from '@azure/storage-file-share';

import type { Clock } from '#clock';
import { MINUTE_MS } from '#quantities';

import type { DelegationKeys } from './delegation-keys.js';

/** Grants remembered at a time; the oldest goes first, and is signed anew when it is asked for. */
const GRANTS_MAX = 10_000;
/** A grant signed with a user delegation key ends this much before the key: the service's clock may be ahead. */
const BEFORE_KEY_ENDS_MS = MINUTE_MS;

/** A URL that reads one file until `expiresAt`. */
export interface FileGrant {
  readonly url: string;
  readonly expiresAt: Date;
}

/** What is remembered of a grant. */
type KnownGrant = readonly [expiresAtMs: number, url: string];

/** What signs grants: the account's key, or the user delegation keys of an identity. */
export type GrantSigner = { readonly kind: 'key'; readonly key: StorageSharedKeyCredential } | { readonly kind: 'delegation'; readonly keys: DelegationKeys };

/** What grants are made from. */
export interface FileGrantsOptions {
  readonly signer: GrantSigner;
  readonly account: string;
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly shareName: string;
  readonly clock: Clock;
}

/**
 * Signs read-only grants for single files (`sr=f`, `sp=r`; https only where the endpoint is https). A grant holds half its asked
 * life longer than asked, so that it can be given out again while it still holds as long as the next one asks.
 */
export class FileGrants {
  readonly #options: FileGrantsOptions;
  /** By path, each {@link KnownGrant} as JSON: one piece of memory for each, of which there may be a hundred thousand. */
  readonly #grants = new Map<string, string>();

  constructor(options: FileGrantsOptions) {
    this.#options = options;
  }

  /**
   * A grant for `path` that holds at least until `expiresAt`, or, with user delegation keys, until shortly before the key ends.
   * @returns undefined while there is no user delegation key.
   */
  grant(path: string, expiresAt: Date): FileGrant | undefined {
    const known = this.#known(path);
    if (known !== undefined && known.expiresAt >= expiresAt) return known;
    const lifeMs = Math.max(0, expiresAt.getTime() - this.#options.clock.now().getTime());
    const grant = this.#sign(path, new Date(expiresAt.getTime() + lifeMs / 2));
    if (grant === undefined) return undefined;
    this.#grants.delete(path);
    this.#grants.set(path, JSON.stringify([grant.expiresAt.getTime(), grant.url] satisfies KnownGrant));
    if (this.#grants.size > GRANTS_MAX) this.#grants.delete(this.#grants.keys().next().value!);
    return grant;
  }

  #known(path: string): FileGrant | undefined {
    const text = this.#grants.get(path);
    if (text === undefined) return undefined;
    const [expiresAtMs, url] = JSON.parse(text) as KnownGrant;
    return { url, expiresAt: new Date(expiresAtMs) };
  }

  #sign(path: string, askedExpiry: Date): FileGrant | undefined {
    const { account, endpoint, shareName, signer } = this.#options;
    // Azure's instants have whole seconds.
    const asked = new Date(Math.ceil(askedExpiry.getTime() / 1000) * 1000);
    const protocol = endpoint.startsWith('https:') ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const values = { shareName, filePath: path, permissions: FileSASPermissions.parse('r'), protocol };
    const granted = (expiresAt: Date, query: { toString(): string }): FileGrant => ({
      url: `${endpoint}/${shareName}/${path.split('/').map(encodeURIComponent).join('/')}?${query.toString()}`,
      expiresAt,
    });
    if (signer.kind === 'key') return granted(asked, generateFileSASQueryParameters({ ...values, expiresOn: asked }, signer.key));
    const key = signer.keys.current;
    if (key === undefined) return undefined;
    const expiresOn = new Date(Math.min(asked.getTime(), key.signedExpiresOn.getTime() - BEFORE_KEY_ENDS_MS));
    return granted(expiresOn, generateFileSASQueryParameters({ ...values, expiresOn }, key, account));
  }
}
