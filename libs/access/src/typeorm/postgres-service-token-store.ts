import type { DataSource } from 'typeorm';

import { AccessError } from '../access-error.js';
import type { AccessScope } from '../access-scope.js';
import { checkServiceToken, isTokenId, type ServiceToken } from '../service-token.js';
import { type KeptToken, SERVICE_TOKENS_MAX, ServiceTokenStore, type TokenCursor, type TokenReading } from '../service-token-store.js';

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly scopes: AccessScope[];
  readonly repositories: string[] | null;
  readonly regions: string[] | null;
  readonly created_at: Date;
  readonly created_by: string;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
}

const COLUMNS = 'id, name, scopes, repositories, regions, created_at, created_by, expires_at, revoked_at, last_used_at';

/** Tokens in the table `service_tokens`; a trigger counts the version in `service_token_version`. */
export class PostgresServiceTokenStore extends ServiceTokenStore {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  async create({ token, secretHash }: KeptToken): Promise<ServiceToken> {
    const { id, name, scopes, repositories, regions, createdAt, createdBy, expiresAt } = checkServiceToken(token);
    const rows = await this.#dataSource.query<TokenRow[]>(
      `INSERT INTO service_tokens (id, name, scopes, repositories, regions, created_at, created_by, expires_at, secret_hash)
       SELECT $1::uuid, $2, $3::text[], $4::text[], $5::text[], $6, $7, $8, $9
       WHERE (SELECT count(*) FROM service_tokens WHERE revoked_at IS NULL AND expires_at > $6) < $10 RETURNING ${COLUMNS}`,
      [id, name, scopes, repositories ?? null, regions ?? null, createdAt, createdBy, expiresAt, Buffer.from(secretHash), SERVICE_TOKENS_MAX],
    );
    if (rows[0] !== undefined) return tokenOf(rows[0]);
    throw new AccessError('TOKENS_TOO_MANY', `there are ${SERVICE_TOKENS_MAX} tokens already`, { details: { max: SERVICE_TOKENS_MAX } });
  }

  async get(id: string): Promise<ServiceToken | undefined> {
    if (!isTokenId(id)) return undefined;
    const rows = await this.#dataSource.query<TokenRow[]>(`SELECT ${COLUMNS} FROM service_tokens WHERE id = $1`, [id]);
    return rows[0] === undefined ? undefined : tokenOf(rows[0]);
  }

  async list({ after, limit }: { readonly after?: TokenCursor | undefined; readonly limit: number }): Promise<readonly ServiceToken[]> {
    const rows = await this.#dataSource.query<TokenRow[]>(
      `SELECT ${COLUMNS} FROM service_tokens WHERE $1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid) ORDER BY created_at, id LIMIT $3`,
      [after?.createdAt ?? null, after?.id ?? null, limit],
    );
    return rows.map(tokenOf);
  }

  async revoke(id: string, at: Date): Promise<ServiceToken | undefined> {
    if (!isTokenId(id)) return undefined;
    await this.#dataSource.query('UPDATE service_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL', [id, at]);
    return this.get(id);
  }

  async version(): Promise<string> {
    const rows = await this.#dataSource.query<{ version: string }[]>('SELECT coalesce(max(version), 0)::text AS version FROM service_token_version');
    return rows[0]?.version ?? '0';
  }

  async read(): Promise<TokenReading> {
    // One statement, and so one view of both tables.
    const rows = await this.#dataSource.query<({ version: string; secret_hash: Buffer | null } & TokenRow)[]>(
      `SELECT counted.version::text AS version, secret_hash, ${COLUMNS} FROM (SELECT coalesce(max(version), 0) AS version FROM service_token_version) AS counted LEFT JOIN service_tokens ON revoked_at IS NULL`,
    );
    const tokens = rows.flatMap((row) => (row.secret_hash === null ? [] : [{ token: tokenOf(row), secretHash: row.secret_hash }]));
    return { version: rows[0]?.version ?? '0', tokens };
  }

  async noteUses(uses: ReadonlyMap<string, Date>): Promise<void> {
    const known = [...uses].filter(([id]) => isTokenId(id));
    await this.#dataSource.query(
      `UPDATE service_tokens SET last_used_at = uses.at FROM unnest($1::uuid[], $2::timestamptz[]) AS uses (token, at)
       WHERE id = uses.token AND (last_used_at IS NULL OR last_used_at < uses.at)`,
      [known.map(([id]) => id), known.map(([, at]) => at)],
    );
  }

  async prune(before: Date, limit: number): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      'DELETE FROM service_tokens WHERE id IN (SELECT id FROM service_tokens WHERE least(expires_at, revoked_at) < $1 LIMIT $2)',
      [before, limit],
    )) as [unknown, number];
    return count;
  }
}

function tokenOf(row: TokenRow): ServiceToken {
  return {
    id: row.id,
    name: row.name,
    scopes: row.scopes,
    ...(row.repositories === null ? {} : { repositories: row.repositories }),
    ...(row.regions === null ? {} : { regions: row.regions }),
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
  };
}
