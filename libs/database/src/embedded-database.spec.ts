import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';

import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { sourceArguments } from '#file-share-emulator/testing';

import { openDataSource } from './data-source.js';
import { type EmbeddedDatabase, startEmbeddedDatabase } from './embedded-database.js';
import { maintainEmbeddedDatabase } from './maintain-embedded-database.js';
import { begunDatabase } from './testing/index.js';

/** Starting takes seconds, and longer beside other tests. */
const PATIENCE_MS = 120_000;

let folder: string;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'embedded-database-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<EmbeddedDatabase> {
  const database = await startEmbeddedDatabase({ folder });
  closing.push(() => database.close());
  return database;
}

/** Has the folder be that of a database which was started before. */
async function beginEarlier(): Promise<void> {
  await using begun = await begunDatabase([]);
  await begun.layInto(folder);
}

async function open(database: EmbeddedDatabase): Promise<DataSource> {
  return openDataSource({ kind: 'embedded', socketFolder: database.socketFolder, port: database.port }, []);
}

async function numbersIn(database: EmbeddedDatabase): Promise<number[]> {
  const dataSource = await open(database);
  const rows = await dataSource.query<{ number: number }[]>('SELECT number FROM acknowledged ORDER BY number');
  await dataSource.destroy();
  return rows.map((row) => row.number);
}

/** Runs the program that writes rows, ends it as a crash does once `count` were acknowledged. @returns the numbers that it told. */
async function writeUntilKilled(count: number): Promise<number[]> {
  const program = fileURLToPath(new URL('./testing/acknowledging-program.ts', import.meta.url));
  const child = spawn(process.execPath, [...sourceArguments(program), folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const told: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(Number(line));
    if (told.length === count) child.kill('SIGKILL');
  }
  await exited;
  return told;
}

describe('the embedded database', () => {
  it('keeps its rows over a close, and leaves neither lock nor socket', { timeout: PATIENCE_MS }, async () => {
    const first = await startEmbeddedDatabase({ folder });
    const dataSource = await open(first);
    await dataSource.query('CREATE TABLE acknowledged (number integer)');
    await dataSource.query('INSERT INTO acknowledged VALUES (7)');
    await dataSource.destroy();
    await first.close();
    expect(await readdir(folder)).toEqual(['data']);
    await expect(stat(first.socketFolder)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await numbersIn(await start())).toEqual([7]);
  });

  it('loses no acknowledged row when its process is killed, time and again', { timeout: PATIENCE_MS }, async () => {
    await beginEarlier();
    const told = [...(await writeUntilKilled(150)), ...(await writeUntilKilled(90))];
    const kept = await numbersIn(await start());
    expect(told.length).toBeGreaterThanOrEqual(240);
    expect(told.filter((number) => !kept.includes(number))).toEqual([]);
    // A row may have been written whose answer died with the process, once for each crash.
    expect(kept.length - told.length).toBeLessThanOrEqual(2);
  });

  it('refuses a second process on its folder, and says which one has it', { timeout: PATIENCE_MS }, async () => {
    await beginEarlier();
    await start();
    const program = fileURLToPath(new URL('./testing/acknowledging-program.ts', import.meta.url));
    const child = spawn(process.execPath, [...sourceArguments(program), folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).not.toBe(0);
    expect(complaint).toContain('FOLDER_LOCKED');
    expect(complaint).toContain(`in use by the process ${process.pid}`);
  });

  it('says that it failed when its thread ends by itself, and can be closed and started again then', { timeout: PATIENCE_MS }, async () => {
    await beginEarlier();
    const begun = once(process, 'worker') as Promise<[Worker]>;
    const database = await startEmbeddedDatabase({ folder });
    const [worker] = await begun;
    await worker.terminate();
    await expect(database.failed).rejects.toMatchObject({ name: 'DatabaseError', code: 'DATABASE_START_FAILED' });
    await database.close();
    const dataSource = await open(await start());
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await dataSource.destroy();
  });

  it('does not begin over what is no data folder, and gives the folder free', { timeout: PATIENCE_MS }, async () => {
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data', 'PG_VERSION'), 'nonsense');
    await expect(startEmbeddedDatabase({ folder })).rejects.toMatchObject({ code: 'DATABASE_START_FAILED' });
    expect(await readdir(folder)).toEqual(['data']);
    await rm(join(folder, 'data'), { recursive: true });
    await start();
  });

  it('takes the room of deleted rows again once it was maintained, and says for which tables there was no time', { timeout: PATIENCE_MS }, async () => {
    await beginEarlier();
    const dataSource = await open(await start());
    closing.push(() => dataSource.destroy());
    // With the table of migrations there are three.
    for (const table of ['one', 'two']) await dataSource.query(`CREATE TABLE ${table} AS SELECT repeat('x', 1000) AS filling FROM generate_series(1, 2000)`);
    const sizeOf = async (table: string): Promise<number> => Number((await dataSource.query<{ size: string }[]>('SELECT pg_relation_size($1) AS size', [table]))[0]?.size);
    const before = await sizeOf('one');
    await dataSource.query('DELETE FROM one');
    expect(await maintainEmbeddedDatabase(dataSource, 0)).toEqual({ tables: 0, left: 3 });
    expect(await sizeOf('one')).toBe(before);
    expect(await maintainEmbeddedDatabase(dataSource)).toEqual({ tables: 3, left: 0 });
    expect(await sizeOf('one')).toBe(0);
    expect(await dataSource.query('SELECT reltuples::int AS rows FROM pg_class WHERE relname = $1', ['two'])).toEqual([{ rows: 2000 }]);
  });
});
