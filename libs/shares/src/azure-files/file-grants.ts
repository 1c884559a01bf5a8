import { generateFileSASQueryParameters, FileSASPermissions, SASProtocol, type StorageSharedKeyCredential } from '@azure/storage-file-share';

import type { Clock } from '#clock';

/** Grants remembered at a time; the oldest goes first, and is signed anew when it is asked for. */
const GRANTS_MAX = 10_000;

/** A URL that reads one file until `expiresAt`. */
export interface FileGrant {
  readonly url: string;
  readonly expiresAt: Date;
}

/** What grants are made from. */
export interface FileGrantsOptions {
  readonly credential: StorageSharedKeyCredential;
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
  readonly #grants = new Map<string, FileGrant>();

  constructor(options: FileGrantsOptions) {
    this.#options = options;
  }

  /** A grant for `path` that holds at least until `expiresAt`. */
  grant(path: string, expiresAt: Date): FileGrant {
    const known = this.#grants.get(path);
    if (known !== undefined && known.expiresAt >= expiresAt) return known;
    const lifeMs = Math.max(0, expiresAt.getTime() - this.#options.clock.now().getTime());
    const grant = this.#sign(path, new Date(expiresAt.getTime() + lifeMs / 2));
    this.#grants.delete(path);
    this.#grants.set(path, grant);
    if (this.#grants.size > GRANTS_MAX) this.#grants.delete(this.#grants.keys().next().value!);
    return grant;
  }

  #sign(path: string, askedExpiry: Date): FileGrant {
    const { credential, endpoint, shareName } = this.#options;
    // Azure's instants have whole seconds.
    const expiresOn = new Date(Math.ceil(askedExpiry.getTime() / 1000) * 1000);
    const protocol = endpoint.startsWith('https:') ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const permissions = FileSASPermissions.parse('r');
    const parameters = generateFileSASQueryParameters({ shareName, filePath: path, permissions, expiresOn, protocol }, credential);
    return { url: `${endpoint}/${shareName}/${path.split('/').map(encodeURIComponent).join('/')}?${parameters.toString()}`, expiresAt: expiresOn };
  }
}
