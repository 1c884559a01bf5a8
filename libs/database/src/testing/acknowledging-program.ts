import pg from 'pg';

import { startEmbeddedDatabase } from '../embedded-database.js';

/** Opens the embedded database in the folder that is named first, and writes rows into `acknowledged` for ever; prints each number once its commit has been answered. */
const database = await startEmbeddedDatabase({ folder: process.argv[2] });
const client = new pg.Client({ host: database.socketFolder, port: database.port, user: 'postgres', database: 'postgres' });
await client.connect();
await client.query('CREATE TABLE IF NOT EXISTS acknowledged (number integer PRIMARY KEY, filling text NOT NULL)');
const { rows } = await client.query<{ next: number }>('SELECT coalesce(max(number), 0) + 1 AS next FROM acknowledged');
for (let number = rows[0]?.next ?? 1; ; number += 1) {
  await client.query('INSERT INTO acknowledged VALUES ($1, $2)', [number, 'x'.repeat(number % 3000)]);
  process.stdout.write(`${number}\n`);
}
