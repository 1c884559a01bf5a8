import { randomUUID } from 'node:crypto';

import { answerJson, type Exchange, refuse } from './registry-exchange.js';

/** Somebody who may use a {@link LocalRegistry}. */
export interface RegistryUser {
  readonly username: string;
  readonly password: string;
  /** What they may pull from and push to; absent: everything. */
  readonly repositories?: readonly string[];
}

/** Who may use a {@link LocalRegistry}, and how they show it. */
export interface RegistryAccessRules {
  /** `basic`: a password with every request; `token`: Docker's token flow, the tokens coming from `/token` of the registry itself. */
  readonly kind: 'basic' | 'token';
  readonly users: readonly RegistryUser[];
  /** Whether anybody may pull without a name (only with `token`). */
  readonly anonymousPull?: boolean;
  /** How long a token holds, in seconds. */
  readonly tokenLifeSeconds?: number;
  readonly now?: () => Date;
}

interface IssuedToken {
  /** `team/app:pull` */
  readonly rights: ReadonlySet<string>;
  readonly expiresAt: number;
}

const SERVICE = 'local-registry';
const NEEDED: Readonly<Record<string, string>> = { GET: 'pull', HEAD: 'pull', DELETE: 'delete' };

/** Lets requests through, or answers them with a challenge. */
export class RegistryGate {
  readonly #rules: RegistryAccessRules | undefined;
  readonly #tokens = new Map<string, IssuedToken>();
  /** Tokens issued so far. */
  issuedCount = 0;

  constructor(rules: RegistryAccessRules | undefined) {
    this.#rules = rules;
  }

  /** Makes every token that was issued worthless. */
  revokeTokens(): void {
    this.#tokens.clear();
  }

  /** @returns true when the request may go on; otherwise it has been answered. */
  admits(exchange: Exchange): boolean {
    if (this.#rules === undefined) return true;
    const action = NEEDED[exchange.method] ?? 'push';
    return this.#rules.kind === 'basic' ? this.#admitsBasic(exchange) : this.#admitsToken(exchange, action);
  }

  /** Answers `GET /token`. */
  issue(exchange: Exchange): void {
    const rules = this.#rules;
    if (rules?.kind !== 'token') return refuse(exchange, 404, 'UNSUPPORTED');
    const shown = exchange.request.headers.authorization;
    const user = this.#userOf(shown);
    if (shown !== undefined && user === undefined) return refuse(exchange, 401, 'UNAUTHORIZED');
    const rights = new Set<string>();
    for (const scope of exchange.url.searchParams.getAll('scope').flatMap((text) => text.split(' '))) {
      const match = /^repository:([^:]+):([a-z,*]+)$/.exec(scope);
      if (match === null) continue;
      const [, repository = '', actions = ''] = match;
      for (const action of actions.replace('*', 'pull,push,delete').split(',')) {
        if (user === undefined ? action === 'pull' && rules.anonymousPull === true : mayUse(user, repository)) rights.add(`${repository}:${action}`);
      }
    }
    const token = randomUUID();
    const lifeSeconds = rules.tokenLifeSeconds ?? 300;
    this.#tokens.set(token, { rights, expiresAt: this.#nowMs() + lifeSeconds * 1000 });
    this.issuedCount += 1;
    answerJson(exchange, { token, access_token: token, expires_in: lifeSeconds, issued_at: new Date(this.#nowMs()).toISOString() });
  }

  #admitsBasic(exchange: Exchange): boolean {
    const user = this.#userOf(exchange.request.headers.authorization);
    if (user === undefined) {
      refuse(exchange, 401, 'UNAUTHORIZED', { 'www-authenticate': `Basic realm="${SERVICE}"` });
      return false;
    }
    if (exchange.repository === '' || mayUse(user, exchange.repository)) return true;
    refuse(exchange, 403, 'DENIED');
    return false;
  }

  #admitsToken(exchange: Exchange, action: string): boolean {
    const value = /^Bearer (.+)$/.exec(exchange.request.headers.authorization ?? '')?.[1] ?? '';
    const token = this.#tokens.get(value);
    const good = token !== undefined && token.expiresAt > this.#nowMs();
    if (good && (exchange.repository === '' || token.rights.has(`${exchange.repository}:${action}`))) return true;
    const actions = action === 'push' ? 'pull,push' : action;
    const scope = exchange.repository === '' ? '' : `,scope="repository:${exchange.repository}:${actions}"`;
    const error = good ? ',error="insufficient_scope"' : '';
    refuse(exchange, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${exchange.url.origin}/token",service="${SERVICE}"${scope}${error}` });
    return false;
  }

  #userOf(authorization: string | undefined): RegistryUser | undefined {
    const encoded = /^Basic (.+)$/.exec(authorization ?? '')?.[1];
    if (encoded === undefined) return undefined;
    const [username = '', ...password] = Buffer.from(encoded, 'base64').toString().split(':');
    return this.#rules?.users.find((user) => user.username === username && user.password === password.join(':'));
  }

  #nowMs(): number {
    return (this.#rules?.now?.() ?? new Date()).getTime();
  }
}

function mayUse(user: RegistryUser, repository: string): boolean {
  return user.repositories?.includes(repository) ?? true;
}
