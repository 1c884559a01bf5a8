import { AccessError } from '../access-error.js';
import { checkServiceToken, type ServiceToken } from '../service-token.js';
import { type KeptToken, SERVICE_TOKENS_MAX, ServiceTokenStore, type TokenCursor, type TokenReading } from '../service-token-store.js';

/** Tokens in memory. */
export class MemoryServiceTokenStore extends ServiceTokenStore {
  readonly #kept = new Map<string, KeptToken>();
  #version = 0;

  async create({ token, secretHash }: KeptToken): Promise<ServiceToken> {
    const checked = checkServiceToken(token);
    const holding = [...this.#kept.values()].filter((kept) => kept.token.revokedAt === undefined && kept.token.expiresAt > token.createdAt);
    if (holding.length >= SERVICE_TOKENS_MAX) throw new AccessError('TOKENS_TOO_MANY', `there are ${SERVICE_TOKENS_MAX} tokens already`, { details: { max: SERVICE_TOKENS_MAX } });
    this.#kept.set(checked.id, { token: checked, secretHash: Buffer.from(secretHash) });
    this.#version += 1;
    return checked;
  }

  async get(id: string): Promise<ServiceToken | undefined> {
    return this.#kept.get(id)?.token;
  }

  async list({ after, limit }: { readonly after?: TokenCursor | undefined; readonly limit: number }): Promise<readonly ServiceToken[]> {
    const tokens = [...this.#kept.values()].map(({ token }) => token);
    return tokens.filter((token) => after === undefined || compare(token, after) > 0).toSorted(compare).slice(0, limit);
  }

  async revoke(id: string, at: Date): Promise<ServiceToken | undefined> {
    const kept = this.#kept.get(id);
    if (kept === undefined || kept.token.revokedAt !== undefined) return kept?.token;
    const token = { ...kept.token, revokedAt: at };
    this.#kept.set(id, { ...kept, token });
    this.#version += 1;
    return token;
  }

  async version(): Promise<string> {
    return String(this.#version);
  }

  async read(): Promise<TokenReading> {
    return { version: String(this.#version), tokens: [...this.#kept.values()].filter(({ token }) => token.revokedAt === undefined) };
  }

  async noteUses(uses: ReadonlyMap<string, Date>): Promise<void> {
    for (const [id, at] of uses) {
      const kept = this.#kept.get(id);
      if (kept === undefined || (kept.token.lastUsedAt ?? new Date(0)) >= at) continue;
      this.#kept.set(id, { ...kept, token: { ...kept.token, lastUsedAt: at } });
    }
  }

  async prune(before: Date, limit: number): Promise<number> {
    const ended = [...this.#kept.values()].filter(({ token }) => token.expiresAt < before || (token.revokedAt !== undefined && token.revokedAt < before)).slice(0, limit);
    for (const { token } of ended) this.#kept.delete(token.id);
    if (ended.length > 0) this.#version += 1;
    return ended.length;
  }
}

function compare(a: TokenCursor, b: TokenCursor): number {
  return a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
