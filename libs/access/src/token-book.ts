import type { Clock } from '#clock';
import { matchesPattern } from '#oci';

import { type AccessScope, ACCESS_SCOPES, allows } from './access-scope.js';
import { bearerOf, idIn, sameHash, secretHashOf } from './secret-text.js';
import type { TokenReading } from './service-token-store.js';

/** Somebody who was let in. One object for each token, however often it is shown. */
export interface Caller {
  /** As in the trail: `admin`, `service`, `notification`, `token:<id>`, `certificate:<subject>`. */
  readonly actor: string;
  /** For people. */
  readonly name: string;
  readonly scopes: readonly AccessScope[];
  /** Absent: all. */
  readonly repositories?: readonly string[] | undefined;
  /** Absent: all. */
  readonly regions?: readonly string[] | undefined;
}

/** Why somebody was not let in. `missing`: no header at all; `scope`: a good token that is for something else. */
export type RefusalReason = 'missing' | 'malformed' | 'unknown' | 'expired' | 'scope';

/** What became of a question. The objects are made once and handed out again: a verdict costs one digest and no other memory. */
export type AccessVerdict =
  | { readonly kind: 'allowed'; readonly caller: Caller }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** A token of the environment: it comes and goes with the process, and its text is its operator's own. */
export interface BootstrapToken {
  readonly actor: string;
  readonly secretText: string;
  readonly scopes: readonly AccessScope[];
}

/** What a {@link TokenBook} is made with. */
export interface TokenBookOptions {
  readonly clock: Clock;
  readonly bootstrap: readonly BootstrapToken[];
  /** Scopes for which nobody is asked. */
  readonly open?: readonly AccessScope[];
}

interface Known {
  readonly secretHash: Uint8Array;
  readonly expiresAtMs: number;
  readonly allowed: AccessVerdict & { readonly kind: 'allowed' };
  readonly id: string | undefined;
  usedAtMs: number | undefined;
}

const REFUSED: Readonly<Record<RefusalReason, AccessVerdict>> = {
  missing: { kind: 'refused', reason: 'missing' },
  malformed: { kind: 'refused', reason: 'malformed' },
  unknown: { kind: 'refused', reason: 'unknown' },
  expired: { kind: 'refused', reason: 'expired' },
  scope: { kind: 'refused', reason: 'scope' },
};
const OPEN: AccessVerdict = { kind: 'allowed', caller: { actor: 'anybody', name: 'anybody', scopes: ACCESS_SCOPES } };

/**
 * All tokens that hold, in memory: tells without waiting for anything who may be let in. What it knows is as old as the last `replace`;
 * while the database is away it goes on by that, and tokens still end at their expiry.
 */
export class TokenBook {
  readonly #clock: Clock;
  readonly #bootstrap: readonly Known[];
  readonly #open: ReadonlySet<AccessScope>;
  #byId = new Map<string, Known>();

  constructor({ clock, bootstrap, open = [] }: TokenBookOptions) {
    this.#clock = clock;
    this.#open = new Set(open);
    this.#bootstrap = bootstrap.map(({ actor, secretText, scopes }) => ({
      secretHash: secretHashOf(secretText), expiresAtMs: Number.POSITIVE_INFINITY, id: undefined, usedAtMs: undefined,
      allowed: { kind: 'allowed', caller: { actor, name: actor, scopes } },
    }));
  }

  /** Whether who shows this Authorization header may do what `scope` is for. Synchronous, some microseconds. Repositories and regions are asked of the caller, with {@link covers}. */
  check(authorization: string | undefined, scope: AccessScope): AccessVerdict {
    if (authorization === undefined) return this.#open.has(scope) ? OPEN : REFUSED.missing;
    const text = bearerOf(authorization);
    const known = text === undefined ? undefined : this.#find(text);
    const nowMs = this.#clock.now().getTime();
    if (known !== undefined && nowMs < known.expiresAtMs) {
      if (allows(known.allowed.caller.scopes, scope)) {
        known.usedAtMs = nowMs;
        return known.allowed;
      }
      // A token of the environment has one audience, and is a stranger to others.
      if (known.id !== undefined && !this.#open.has(scope)) return REFUSED.scope;
    }
    if (this.#open.has(scope)) return OPEN;
    if (text === undefined) return REFUSED.malformed;
    return known?.id !== undefined ? REFUSED.expired : REFUSED.unknown;
  }

  /** Takes what the store has now in place of what was known. */
  replace(reading: Pick<TokenReading, 'tokens'>): void {
    const byId = new Map<string, Known>();
    for (const { token, secretHash } of reading.tokens) {
      const { id, name, scopes, repositories, regions, expiresAt } = token;
      const key = id.replaceAll('-', '');
      const caller: Caller = { actor: `token:${id}`, name, scopes, repositories, regions };
      byId.set(key, { secretHash, expiresAtMs: expiresAt.getTime(), id, allowed: { kind: 'allowed', caller }, usedAtMs: this.#byId.get(key)?.usedAtMs });
    }
    this.#byId = byId;
  }

  /** Tokens of the store that are known, expired ones included. */
  get size(): number {
    return this.#byId.size;
  }

  /** When tokens were last let in since this was last asked. */
  takeUses(): ReadonlyMap<string, Date> {
    const uses = new Map<string, Date>();
    for (const known of this.#byId.values()) {
      if (known.id === undefined || known.usedAtMs === undefined) continue;
      uses.set(known.id, new Date(known.usedAtMs));
      known.usedAtMs = undefined;
    }
    return uses;
  }

  #find(text: string): Known | undefined {
    const presented = secretHashOf(text);
    const id = idIn(text);
    const known = id === undefined ? undefined : this.#byId.get(id);
    if (known !== undefined && sameHash(known.secretHash, presented)) return known;
    return this.#bootstrap.find(({ secretHash }) => sameHash(secretHash, presented));
  }
}

/** True when a caller may ask about this repository, and for this region. A caller with a list of regions may not ask for a region that is not named. */
export function covers(caller: Caller, about: { readonly repository?: string | undefined; readonly region?: string | undefined }): boolean {
  const { repositories, regions } = caller;
  if (repositories !== undefined && (about.repository === undefined || !matchesPattern(repositories, about.repository))) return false;
  return regions === undefined || (about.region !== undefined && regions.includes(about.region));
}
