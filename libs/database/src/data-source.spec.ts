import { randomUUID } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import pg from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';

import { openDataSource, POSTGRES_MAJOR_VERSION_MIN } from './data-source.js';
import { TEST_POSTGRES_URL } from './testing/index.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A backend message of PostgreSQL's protocol 3. */
function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const int = (bytes: 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
};
const ready = message('Z', Buffer.from('I'));
/** The answer to any query: one row with one text. */
const row = (column: string, value: string): Buffer =>
  Buffer.concat([
    message('T', int(2, 1), Buffer.from(`${column}\0`), int(4, 0), int(2, 0), int(4, 25), int(2, -1), int(4, -1), int(2, 0)),
    message('D', int(2, 1), int(4, value.length), Buffer.from(value)),
    message('C', Buffer.from('SELECT 1\0')),
    ready,
  ]);

/** A server that says that it is PostgreSQL of this version, whatever it is asked. */
async function startOldServer(version: string, number: string): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', int(4, 0)), message('S', Buffer.from(`server_version\0${version}\0`)), ready]));
      socket.on('data', (data: Buffer) => {
        if (data[0] === 'Q'.charCodeAt(0)) socket.write(data.includes('server_version_num') ? row('server_version_num', number) : row('version', `PostgreSQL ${version} on something`));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `postgres://somebody@127.0.0.1:${(server.address() as AddressInfo).port}/any`;
}

const atServer = (url: string) => ({ kind: 'server', url, poolSize: 2 }) as const;

describe('opening a database', () => {
  it('that nobody listens for says that it cannot be reached, and that this may pass', async () => {
    await expect(openDataSource(atServer('postgres://somebody@127.0.0.1:9/any'), [])).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE', transient: true });
  });

  it(`older than PostgreSQL ${POSTGRES_MAJOR_VERSION_MIN} is refused with its version`, async () => {
    const url = await startOldServer('14.9', '140009');
    await expect(openDataSource(atServer(url), [])).rejects.toMatchObject({ code: 'DATABASE_TOO_OLD', transient: false, details: { major: 14 } });
  });

  const serverUrl = process.env[TEST_POSTGRES_URL];
  it.skipIf(serverUrl === undefined)('lets several processes that begin together migrate once, one after the other', async () => {
    const admin = new pg.Client({ connectionString: serverUrl });
    await admin.connect();
    const name = `translocator_test_${randomUUID().replaceAll('-', '')}`;
    await admin.query(`CREATE DATABASE ${name}`);
    closing.push(async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    });
    class Slow1700000000001 implements MigrationInterface {
      async up(db: QueryRunner): Promise<void> {
        await db.query('CREATE TABLE numbers (number serial PRIMARY KEY)');
        await db.query('SELECT pg_sleep(0.3)');
      }

      down(): Promise<void> {
        return Promise.resolve();
      }
    }
    class Counting1700000000002 implements MigrationInterface {
      async up(db: QueryRunner): Promise<void> {
        await db.query('INSERT INTO numbers DEFAULT VALUES');
      }

      down(): Promise<void> {
        return Promise.resolve();
      }
    }
    const url = new URL(serverUrl!);
    url.pathname = `/${name}`;
    const opened = await Promise.all(Array.from({ length: 5 }, () => openDataSource(atServer(url.toString()), [Slow1700000000001, Counting1700000000002])));
    closing.push(() => Promise.all(opened.map((dataSource) => dataSource.destroy())));
    expect(await opened[0]!.query('SELECT count(*)::int AS count FROM numbers')).toEqual([{ count: 1 }]);
    expect(await opened[4]!.query('SELECT count(*)::int AS count FROM migrations')).toEqual([{ count: 2 }]);
  });

  const freshDatabase = async (): Promise<URL> => {
    const admin = new pg.Client({ connectionString: serverUrl });
    await admin.connect();
    const name = `translocator_test_${randomUUID().replaceAll('-', '')}`;
    await admin.query(`CREATE DATABASE ${name}`);
    closing.push(async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    });
    const url = new URL(serverUrl!);
    url.pathname = `/${name}`;
    return url;
  };

  it.skipIf(serverUrl === undefined)('lets a migration, and the wait for it, take longer than a statement may', async () => {
    class Long1700000000004 implements MigrationInterface {
      async up(db: QueryRunner): Promise<void> {
        await db.query('SELECT pg_sleep(1.5)');
      }

      down(): Promise<void> {
        return Promise.resolve();
      }
    }
    const url = (await freshDatabase()).toString();
    const opened = await Promise.all([1, 2].map(() => openDataSource({ ...atServer(url), statementMaxMs: 500 }, [Long1700000000004])));
    closing.push(() => Promise.all(opened.map((dataSource) => dataSource.destroy())));
    expect(await opened[0]!.query('SELECT count(*)::int AS count FROM migrations')).toEqual([{ count: 1 }]);
    await expect(opened[1]!.query('SELECT pg_sleep(5)')).rejects.toThrow('statement timeout');
  });

  it.skipIf(serverUrl === undefined)('gives up a connection whose server has vanished, and takes another', async () => {
    const url = await freshDatabase();
    const cut = new Set<Socket>();
    let count = 0;
    const proxy = createServer((near) => {
      count += 1;
      const far = connect(Number(url.port === '' ? 5432 : url.port), url.hostname);
      for (const socket of [near, far]) socket.on('error', () => undefined);
      near.on('close', () => far.destroy());
      near.on('data', (bytes: Buffer) => void (cut.has(near) || far.write(bytes)));
      far.on('data', (bytes: Buffer) => void (cut.has(near) || near.write(bytes)));
      lines.push(near);
    });
    const lines: Socket[] = [];
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => proxy.close(resolve)));
    const through = new URL(url);
    [through.hostname, through.port] = ['127.0.0.1', String((proxy.address() as AddressInfo).port)];
    const dataSource = await openDataSource({ kind: 'server', url: through.toString(), poolSize: 1, statementMaxMs: 800 }, []);
    closing.push(() => dataSource.destroy());
    const before = count;
    for (const line of lines) cut.add(line);
    await expect(dataSource.query('SELECT 1 AS one')).rejects.toThrow('timeout');
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(count).toBe(before + 1);
  });

  it.skipIf(serverUrl === undefined)('whose migration fails throws what the driver says, and leaves no session behind', async () => {
    const url = new URL(serverUrl!);
    class Wrong1700000000003 implements MigrationInterface {
      async up(db: QueryRunner): Promise<void> {
        await db.query('SELECT * FROM no_such_table_at_all');
      }

      down(): Promise<void> {
        return Promise.resolve();
      }
    }
    const admin = new pg.Client({ connectionString: serverUrl });
    await admin.connect();
    closing.push(() => admin.end());
    const name = `translocator_test_${randomUUID().replaceAll('-', '')}`;
    await admin.query(`CREATE DATABASE ${name}`);
    url.pathname = `/${name}`;
    await expect(openDataSource(atServer(url.toString()), [Wrong1700000000003])).rejects.toThrow('no_such_table_at_all');
    const sessions = async (): Promise<unknown> => (await admin.query('SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = $1', [name])).rows;
    await expect.poll(sessions).toEqual([{ count: 0 }]);
    await admin.query(`DROP DATABASE ${name}`);
  });
});
