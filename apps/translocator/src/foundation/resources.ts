import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import type { DataSource } from 'typeorm';

import type { Clock } from '#clock';
import { ChangeFeed, type DatabaseAddress, type EmbeddedDatabase, openDataSource, openDataSourceInTime, type OpeningDataSource, startEmbeddedDatabase } from '#database';
import type { FileShareEmulator } from '#file-share-emulator';
import { MIGRATIONS } from '#migrations';
import { SECOND_MS } from '#quantities';
import { type Region, type RegionLink, RegionMap } from '#regions';
import type { Logger } from '#telemetry';

import { startEmbeddedShares } from './embedded-shares.js';
import type { Settings } from './settings.js';
import { keyCredentials, shareCredentials } from './share-credentials.js';
import { openShares, ShareSet } from './share-set.js';

/** How long a process that answers from memory waits for the database before it answers without. */
const DATABASE_WAIT_MS = 3 * SECOND_MS;

/** What the service stands on; opened before anything is served and closed after everything has stopped. */
export interface Resources {
  readonly dataSource: DataSource;
  /** As in `OpeningDataSource.opened`; resolved already where it was waited for. */
  readonly databaseOpened: Promise<void>;
  readonly regions: RegionMap;
  readonly shares: ShareSet;
  /** The emulator behind the shares, with the embedded default. */
  readonly emulator: FileShareEmulator | undefined;
  /** Rejects when the embedded database ends by itself; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Opens database and shares in order; what was opened is closed again when a later one fails. */
export async function openResources(settings: Settings, clock: Clock, logger: Logger): Promise<Resources> {
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of opened.splice(0).toReversed()) await each();
  };
  try {
    const { config } = settings;
    const embedded = config.database.kind === 'embedded' ? await startEmbeddedDatabase({ folder: join(config.folder, 'database') }) : undefined;
    if (embedded !== undefined) opened.push(() => embedded.close());
    const database = await openDatabase(databaseAddress(settings, embedded), onlyAnswers(settings), logger);
    opened.push(() => database.close());
    const { dataSource } = database;
    const emulated = config.shares.kind === 'embedded' ? await startEmbeddedShares(config) : undefined;
    if (emulated !== undefined) opened.push(() => emulated.emulator.close());
    const credentialOf = emulated === undefined ? await shareCredentials(settings) : keyCredentials(emulated.keys);
    const shares = openShares(config, { credentialOf, emulator: emulated?.emulator }, clock);
    // A process that only answers is not to wait for a share that is away: workers make it.
    if (!onlyAnswers(settings)) await Promise.all([...shares.byName.values()].map((share) => share.ensureExists()));
    return { dataSource, databaseOpened: database.opened, regions: regionMap(settings), shares, emulator: emulated?.emulator, failed: embedded?.failed ?? new Promise<never>(() => undefined), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** True for a process that does nothing but answer from memory. */
function onlyAnswers({ config }: Settings): boolean {
  return config.roles.every((role) => role === 'lookup');
}

/** Opens the database; where the process has answers to give without it, waits for it only {@link DATABASE_WAIT_MS}, and goes on opening it. */
async function openDatabase(address: DatabaseAddress, mayBeLate: boolean, logger: Logger): Promise<OpeningDataSource> {
  const first = async (dataSource: DataSource): Promise<void> => void (await new ChangeFeed(dataSource).repair());
  if (address.kind === 'server' && mayBeLate) {
    const onFailure = (error: unknown): void => logger.warn({ error }, 'the database cannot be reached; pulls are answered from the snapshot of the map, where there is one');
    const opening = openDataSourceInTime(address, MIGRATIONS, { first, onFailure });
    await Promise.race([opening.opened, setTimeout(DATABASE_WAIT_MS)]);
    return opening;
  }
  const dataSource = await openDataSource(address, MIGRATIONS);
  await first(dataSource);
  return { dataSource, opened: Promise.resolve(), close: () => dataSource.destroy() };
}

function databaseAddress({ config, secrets }: Settings, embedded: EmbeddedDatabase | undefined): DatabaseAddress {
  if (embedded !== undefined) return { kind: 'embedded', socketFolder: embedded.socketFolder, port: embedded.port };
  return { kind: 'server', url: secrets.databaseUrl ?? '', poolSize: config.database.kind === 'server' ? config.database.poolSize : 1 };
}

function regionMap({ config }: Settings): RegionMap {
  const { home, list, links, defaultLink } = config.regions;
  const regions = list.map(({ name, displayName }): Region => ({ name, displayName: displayName ?? name }));
  const toLink = <Link extends { readonly throughput: number }>({ throughput, ...link }: Link) => ({ ...link, throughputBytesPerSecond: throughput });
  return new RegionMap(regions, home, links.map((link): RegionLink => toLink(link)), toLink(defaultLink));
}
