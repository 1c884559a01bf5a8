import { join } from 'node:path';

import type { DataSource } from 'typeorm';

import type { Clock } from '#clock';
import { ChangeFeed, type EmbeddedDatabase, openDataSource, startEmbeddedDatabase } from '#database';
import type { FileShareEmulator } from '#file-share-emulator';
import { MIGRATIONS } from '#migrations';
import { type Region, type RegionLink, RegionMap } from '#regions';

import { startEmbeddedShares } from './embedded-shares.js';
import type { Settings } from './settings.js';
import { keyCredentials, shareCredentials } from './share-credentials.js';
import { openShares, ShareSet } from './share-set.js';

/** What the service stands on; opened before anything is served and closed after everything has stopped. */
export interface Resources {
  readonly dataSource: DataSource;
  readonly regions: RegionMap;
  readonly shares: ShareSet;
  /** The emulator behind the shares, with the embedded default. */
  readonly emulator: FileShareEmulator | undefined;
  /** Rejects when the embedded database ends by itself; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Opens database and shares in order; what was opened is closed again when a later one fails. */
export async function openResources(settings: Settings, clock: Clock): Promise<Resources> {
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of opened.splice(0).toReversed()) await each();
  };
  try {
    const { config } = settings;
    const embedded = config.database.kind === 'embedded' ? await startEmbeddedDatabase({ folder: join(config.folder, 'database') }) : undefined;
    if (embedded !== undefined) opened.push(() => embedded.close());
    const dataSource = await openDataSource(databaseAddress(settings, embedded), MIGRATIONS);
    opened.push(() => dataSource.destroy());
    await new ChangeFeed(dataSource).repair();
    const emulated = config.shares.kind === 'embedded' ? await startEmbeddedShares(config) : undefined;
    if (emulated !== undefined) opened.push(() => emulated.emulator.close());
    const credentialOf = emulated === undefined ? await shareCredentials(settings) : keyCredentials(emulated.keys);
    const shares = openShares(config, { credentialOf, emulator: emulated?.emulator }, clock);
    await Promise.all([...shares.byName.values()].map((share) => share.ensureExists()));
    return { dataSource, regions: regionMap(settings), shares, emulator: emulated?.emulator, failed: embedded?.failed ?? new Promise<never>(() => undefined), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function databaseAddress({ config, secrets }: Settings, embedded: EmbeddedDatabase | undefined): Parameters<typeof openDataSource>[0] {
  if (embedded !== undefined) return { kind: 'embedded', socketFolder: embedded.socketFolder, port: embedded.port };
  return { kind: 'server', url: secrets.databaseUrl ?? '', poolSize: config.database.kind === 'server' ? config.database.poolSize : 1 };
}

function regionMap({ config }: Settings): RegionMap {
  const { home, list, links, defaultLink } = config.regions;
  const regions = list.map(({ name, displayName }): Region => ({ name, displayName: displayName ?? name }));
  const toLink = <Link extends { readonly throughput: number }>({ throughput, ...link }: Link) => ({ ...link, throughputBytesPerSecond: throughput });
  return new RegionMap(regions, home, links.map((link): RegionLink => toLink(link)), toLink(defaultLink));
}
