import { setTimeout } from 'node:timers/promises';

import pg from 'pg';
import { DataSource, MigrationExecutor, type MigrationInterface } from 'typeorm';

import { DatabaseError } from './database-error.js';
import { VanishingClient } from './vanishing-client.js';

/** How to reach a PostgreSQL: a server's URL, or the socket folder of the embedded one. */
export type DatabaseAddress =
  | { readonly kind: 'server'; readonly url: string; readonly poolSize: number; /** Default {@link STATEMENT_MAX_MS}. */ readonly statementMaxMs?: number }
  | { readonly kind: 'embedded'; readonly socketFolder: string; readonly port: number };

/** A migration as a class; TypeORM makes the instance. */
export type MigrationClass = new () => MigrationInterface;

/** The oldest PostgreSQL whose SQL the migrations and stores keep to. */
export const POSTGRES_MAJOR_VERSION_MIN = 15;
/** A statement that takes longer is ended by the server: nothing here should take a second. */
export const STATEMENT_MAX_MS = 30_000;
/** How much longer than a statement its answer may take before the connection is taken for dead. */
const ANSWER_SLACK = 1.25;
/** A process that stands still inside a transaction keeps what that holds from all others for so long: then the server takes it back. Between two statements nothing here waits for anything. */
const TRANSACTION_IDLE_MAX_MS = 10_000;
/** How long to wait for a connection from the pool or the server. */
const CONNECT_MAX_MS = 10_000;
/** What every connection to a server has: idle ones notice when the server has vanished. */
const PATIENT = { connectionTimeoutMillis: CONNECT_MAX_MS, keepAlive: true, keepAliveInitialDelayMillis: 30_000 };

/**
 * Opens the database and brings its tables up to date. Migrations run one at a time in their own transactions; several
 * processes that start together are put in order by a lock on the migrations' own table. On a server every statement after that is bounded on both sides: the
 * server ends it after `statementMaxMs`, and a little later its connection is given up, because a server that has vanished ends nothing. A transaction of a process that stands still is rolled
 * back after {@link TRANSACTION_IDLE_MAX_MS}.
 * @throws {DatabaseError} `DATABASE_UNREACHABLE`, `DATABASE_TOO_OLD`; the driver's error when a migration fails.
 */
export async function openDataSource(address: DatabaseAddress, migrations: readonly MigrationClass[]): Promise<DataSource> {
  if (address.kind === 'embedded') {
    // One session: a second connection would share the first one's transactions.
    const { socketFolder: host, port } = address;
    const connection = { host, port, username: 'postgres', database: 'postgres', poolSize: 1 };
    return openAnd(connection, migrations, async (dataSource) => void (await dataSource.runMigrations()));
  }
  const { url, poolSize, statementMaxMs = STATEMENT_MAX_MS } = address;
  // Migrations, and the wait for whoever migrates already, take as long as they take.
  const migrating = await openAnd({ url, poolSize: 1, extra: PATIENT }, migrations, migrate);
  await migrating.destroy();
  return openAnd({ url, poolSize, extra: boundedExtra(statementMaxMs) }, [], () => Promise.resolve());
}

function boundedExtra(statementMaxMs: number): object {
  return { ...PATIENT, Client: VanishingClient, statement_timeout: statementMaxMs, query_timeout: statementMaxMs * ANSWER_SLACK, idle_in_transaction_session_timeout: TRANSACTION_IDLE_MAX_MS };
}

/** What {@link openDataSourceInTime} is told besides. */
export interface OpenInTimeOptions {
  /** Done with the opened database before anybody else uses it. */
  readonly first: (dataSource: DataSource) => Promise<void>;
  /** Hears of every attempt that failed; the next one follows. */
  readonly onFailure: (error: unknown) => void;
}

/** A database that is being opened. */
export interface OpeningDataSource {
  /** Usable from the beginning: until the database is open every query fails at once. */
  readonly dataSource: DataSource;
  /** Resolves when it is open. Rejects when the first attempt shows that it never will be: what `openDataSource` throws and is not transient. */
  readonly opened: Promise<void>;
  /** Gives up opening, or closes what was opened. */
  close(): Promise<void>;
}

/** How long to wait before the database is tried again. */
const OPEN_AGAIN_MS = 1000;

/** Opens a server's database as `openDataSource` does, for a process that has something to do until then: it is tried again for as long as it takes. */
export function openDataSourceInTime(address: DatabaseAddress & { readonly kind: 'server' }, migrations: readonly MigrationClass[], options: OpenInTimeOptions): OpeningDataSource {
  const { url, poolSize, statementMaxMs = STATEMENT_MAX_MS } = address;
  const dataSource = makeDataSource({ url, poolSize, extra: boundedExtra(statementMaxMs) }, []);
  const closing = new AbortController();
  const opened = openOverAndOver(async () => {
    const migrating = await openAnd({ url, poolSize: 1, extra: PATIENT }, migrations, migrate);
    await migrating.destroy();
    if (closing.signal.aborted) return;
    await dataSource.initialize();
    try {
      await options.first(dataSource);
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
  }, options.onFailure, closing.signal);
  const close = async (): Promise<void> => {
    closing.abort();
    await opened.catch(() => undefined);
    if (dataSource.isInitialized) await dataSource.destroy();
  };
  return { dataSource, opened, close };
}

async function openOverAndOver(open: () => Promise<void>, onFailure: (error: unknown) => void, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      await open();
      return;
    } catch (error) {
      if (attempt === 1 && !(error instanceof DatabaseError && error.transient)) throw error;
      onFailure(error);
    }
    await setTimeout(OPEN_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface Connection {
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly database?: string;
  readonly url?: string;
  readonly poolSize: number;
  readonly extra?: object;
}

/** Opens a pool and does something first; closes it again when that fails. */
async function openAnd(connection: Connection, migrations: readonly MigrationClass[], first: (dataSource: DataSource) => Promise<void>): Promise<DataSource> {
  const dataSource = makeDataSource(connection, migrations);
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
    await first(dataSource);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}

function makeDataSource(connection: Connection, migrations: readonly MigrationClass[]): DataSource {
  return new DataSource({
    type: 'postgres',
    // Given by name: TypeORM's own look-up needs `require`, which ES modules do not have.
    driver: pg,
    ...connection,
    entities: [],
    migrations: [...migrations],
    migrationsTransactionMode: 'each',
    installExtensions: false,
    applicationName: 'translocator',
    connectTimeoutMS: CONNECT_MAX_MS,
  });
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

/** Migrates on one session, which also holds the lock; no time set for the role or the database ends it. */
async function migrate(dataSource: DataSource): Promise<void> {
  const session = dataSource.createQueryRunner();
  try {
    await session.query('SET statement_timeout = 0');
    await session.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const executor = new MigrationExecutor(dataSource, session);
    executor.transaction = 'each';
    await executor.executePendingMigrations();
    await session.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  } finally {
    // The session ends with its pool, and the lock with the session.
    await session.release();
  }
}
