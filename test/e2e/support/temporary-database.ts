import { randomUUID } from 'node:crypto';

import pg from 'pg';

/** A database that goes when it is disposed, on the server that `serverUrl` names. */
export async function temporaryDatabase(serverUrl: string): Promise<{ readonly url: string } & AsyncDisposable> {
  const admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  const name = `translocator_e2e_${randomUUID().replaceAll('-', '')}`;
  try {
    await admin.query(`CREATE DATABASE ${name}`);
  } catch (error) {
    await admin.end();
    throw error;
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    [Symbol.asyncDispose]: async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}
