import pg from 'pg';

import { TEST_POSTGRES_URL } from '#database/testing';

/** A transaction that has a number and does nothing more. */
export interface Neighbour extends AsyncDisposable {
  end(): Promise<void>;
}

/** Begins a transaction in the database that the test server's URL names, which is none of those that tests make. */
export async function transactionInAnotherDatabase(): Promise<Neighbour> {
  const client = new pg.Client({ connectionString: process.env[TEST_POSTGRES_URL] });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT pg_current_xact_id()');
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => (ended ??= client.query('ROLLBACK').then(() => client.end()));
  return { end, [Symbol.asyncDispose]: end };
}
