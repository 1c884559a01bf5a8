import { randomUUID } from 'node:crypto';

import pg from 'pg';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';

import { type MigrationClass, openDataSource } from '../data-source.js';
import { startEmbeddedDatabase } from '../embedded-database.js';

import { begunDatabase } from './begun-database.js';

/** Names a PostgreSQL server on which tests may create and drop databases. Without it those tests are skipped, visibly. */
export const TEST_POSTGRES_URL = 'TRANSLOCATOR_TEST_POSTGRES_URL';

/** Opens one fresh, migrated database. */
interface TestDatabase {
  readonly name: string;
  readonly available: boolean;
  /** Whether transactions can run side by side. */
  readonly severalSessions: boolean;
  open(migrations: readonly MigrationClass[]): Promise<{ dataSource: DataSource; close(): Promise<void> }>;
}

const embedded: TestDatabase = {
  name: 'the embedded database',
  available: true,
  severalSessions: false,
  open: async (migrations) => {
    await using begun = await begunDatabase(migrations);
    const database = await startEmbeddedDatabase({ snapshot: begun.snapshot });
    const dataSource = await openDataSource({ kind: 'embedded', socketFolder: database.socketFolder, port: database.port }, migrations);
    return {
      dataSource,
      close: async () => {
        await dataSource.destroy();
        await database.close();
      },
    };
  },
};

const server: TestDatabase = {
  name: 'a PostgreSQL server',
  available: process.env[TEST_POSTGRES_URL] !== undefined,
  severalSessions: true,
  open: async (migrations) => {
    const admin = new pg.Client({ connectionString: process.env[TEST_POSTGRES_URL] });
    await admin.connect();
    const name = `translocator_test_${randomUUID().replaceAll('-', '')}`;
    await admin.query(`CREATE DATABASE ${name}`);
    const url = new URL(process.env[TEST_POSTGRES_URL] ?? '');
    url.pathname = `/${name}`;
    const dataSource = await openDataSource({ kind: 'server', url: url.toString(), poolSize: 8 }, migrations);
    return {
      dataSource,
      close: async () => {
        await dataSource.destroy();
        await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
        await admin.end();
      },
    };
  },
};

/**
 * Declares the same tests for the embedded database and, where {@link TEST_POSTGRES_URL} names one, for a PostgreSQL server:
 * one migrated database for each, its tables emptied before every test. `tests` is called once for each while tests are being declared;
 * the data source may be asked for inside them. Tests of concurrent transactions are declared only where `severalSessions` holds.
 */
export function describeOnEveryDatabase(
  title: string,
  migrations: readonly MigrationClass[],
  tests: (dataSource: () => DataSource, database: { readonly severalSessions: boolean }) => void,
): void {
  for (const database of [embedded, server]) {
    describe.skipIf(!database.available)(`${title} on ${database.name}`, () => {
      let opened: Awaited<ReturnType<TestDatabase['open']>>;
      beforeAll(async () => {
        opened = await database.open(migrations);
      });
      afterAll(() => opened?.close());
      beforeEach(() => emptyTables(opened.dataSource));
      tests(() => opened.dataSource, database);
    });
  }
}

/** Costs what was written: every table that is emptied, also of nothing, is a few files made anew. */
async function emptyTables(dataSource: DataSource): Promise<void> {
  const tables = await dataSource.query<{ name: string }[]>(
    `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'`,
  );
  const filled = await dataSource.query<{ name: string }[]>(tables.map(({ name }) => `SELECT '${name}' AS name WHERE EXISTS (SELECT FROM ${name})`).join(' UNION ALL '));
  if (filled.length > 0) await dataSource.query(`TRUNCATE ${filled.map(({ name }) => name).join(', ')} CASCADE`);
  const counted = await dataSource.query<{ name: string }[]>(
    `SELECT quote_ident(sequencename) AS name FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> 'migrations_id_seq'`,
  );
  for (const { name } of counted) await dataSource.query(`ALTER SEQUENCE ${name} RESTART`);
}
