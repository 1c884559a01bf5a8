import pg from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';

import { DatabaseError } from './database-error.js';

/** How to reach a PostgreSQL: a server's URL, or the socket folder of the embedded one. */
export type DatabaseAddress =
  | { readonly kind: 'server'; readonly url: string; readonly poolSize: number }
  | { readonly kind: 'embedded'; readonly socketFolder: string; readonly port: number };

/** A migration as a class; TypeORM makes the instance. */
export type MigrationClass = new () => MigrationInterface;

/** The oldest PostgreSQL whose SQL the migrations and stores keep to. */
export const POSTGRES_MAJOR_VERSION_MIN = 15;
/** A statement that takes longer is ended by the server: nothing here should take a second. */
const STATEMENT_MAX_MS = 30_000;
/** How long to wait for a connection from the pool or the server. */
const CONNECT_MAX_MS = 10_000;

/**
 * Opens the database and brings its tables up to date. Migrations run one at a time in their own transactions; several
 * processes that start together are put in order by a lock on the migrations' own table.
 * @throws {DatabaseError} `DATABASE_UNREACHABLE`, `DATABASE_TOO_OLD`; the driver's error when a migration fails.
 */
export async function openDataSource(address: DatabaseAddress, migrations: readonly MigrationClass[]): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    // Given by name: TypeORM's own look-up needs `require`, which ES modules do not have.
    driver: pg,
    ...connection(address),
    entities: [],
    migrations: [...migrations],
    migrationsTransactionMode: 'each',
    installExtensions: false,
    applicationName: 'translocator',
    connectTimeoutMS: CONNECT_MAX_MS,
  });
  try {
    await dataSource.initialize();
  } catch (cause) {
    throw new DatabaseError('DATABASE_UNREACHABLE', `the database could not be reached: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      transient: true,
    });
  }
  try {
    await requireVersion(dataSource);
    await migrate(dataSource, address.kind);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

function connection(address: DatabaseAddress): { host?: string; port?: number; username?: string; database?: string; url?: string; poolSize: number; extra: object } {
  if (address.kind === 'server') {
    return { url: address.url, poolSize: address.poolSize, extra: { statement_timeout: STATEMENT_MAX_MS, connectionTimeoutMillis: CONNECT_MAX_MS } };
  }
  // One session: a second connection would share the first one's transactions.
  return { host: address.socketFolder, port: address.port, username: 'postgres', database: 'postgres', poolSize: 1, extra: {} };
}

async function requireVersion(dataSource: DataSource): Promise<void> {
  const rows = await dataSource.query<{ server_version_num: string }[]>('SHOW server_version_num');
  const major = Math.floor(Number(rows[0]?.server_version_num) / 10_000);
  if (!(major >= POSTGRES_MAJOR_VERSION_MIN)) {
    throw new DatabaseError('DATABASE_TOO_OLD', `PostgreSQL ${major} is older than ${POSTGRES_MAJOR_VERSION_MIN}`, { details: { major } });
  }
}

/** The number under which starting processes queue for the right to migrate; any constant that nobody else in the database uses. */
const MIGRATION_LOCK = 7_405_113_902;

async function migrate(dataSource: DataSource, kind: DatabaseAddress['kind']): Promise<void> {
  if (kind === 'embedded') {
    await dataSource.runMigrations();
    return;
  }
  const session = dataSource.createQueryRunner();
  try {
    await session.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await dataSource.runMigrations();
  } finally {
    await session.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    await session.release();
  }
}
