import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { type MigrationClass, openDataSource } from '../data-source.js';
import { startEmbeddedDatabase } from '../embedded-database.js';

import { madeOnce } from './made-once.js';

const ARCHIVE = 'data.tar';

/** An embedded database as its first start with some migrations leaves it, to begin others with: they take a fifth of the CPU time of a first start. */
export interface BegunDatabase extends AsyncDisposable {
  /** As `startEmbeddedDatabase` takes it. */
  readonly snapshot: string;
  /** Lays it into the folder of an embedded database that has never been started. */
  layInto(folder: string): Promise<void>;
}

/** The one of these migrations, which run once in a run of tests. */
export async function begunDatabase(migrations: readonly MigrationClass[]): Promise<BegunDatabase> {
  const made = await madeOnce(`database-${nameOf(migrations)}`, async (folder) => {
    if (migrations.length > 0) {
      await using empty = await begunDatabase([]);
      await empty.layInto(folder);
    }
    await startOnce(folder, migrations);
    await tar('-cf', join(folder, ARCHIVE), '-C', join(folder, 'data'), '.');
    await rm(join(folder, 'data'), { recursive: true });
  });
  const snapshot = join(made.path, ARCHIVE);
  const layInto = async (folder: string): Promise<void> => {
    await mkdir(join(folder, 'data'), { recursive: true, mode: 0o700 });
    await tar('-xf', snapshot, '-C', join(folder, 'data'));
  };
  return { snapshot, layInto, [Symbol.asyncDispose]: () => made[Symbol.asyncDispose]() };
}

async function startOnce(folder: string, migrations: readonly MigrationClass[]): Promise<void> {
  const database = await startEmbeddedDatabase({ folder });
  try {
    await (await openDataSource({ kind: 'embedded', socketFolder: database.socketFolder, port: database.port }, migrations)).destroy();
  } finally {
    await database.close();
  }
}

/** The program is a tenth of the work that Node has with a thousand files. */
async function tar(...args: string[]): Promise<void> {
  await promisify(execFile)('tar', args);
}

function nameOf(migrations: readonly MigrationClass[]): string {
  return createHash('sha256').update(migrations.map((migration) => migration.name).join('\n')).digest('hex').slice(0, 16);
}
