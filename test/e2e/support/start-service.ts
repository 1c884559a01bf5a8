import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { loadConfig } from '#config';
import { begunDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { stringify } from 'yaml';

import { Settings } from '../../../apps/translocator/src/foundation/settings.js';
import { startTranslocator, type Translocator } from '../../../apps/translocator/src/translocator.js';
import { ServiceClient, TOKENS } from './service-client.js';

/** A configuration file's content, as far as it is not the default. */
export type Overrides = Readonly<Record<string, unknown>>;

/**
 * Everything that has a pace, faster than it is by default: tests wait for conditions, not for minutes. No faster than what they wait for takes: at these paces a service
 * that has nothing to do takes a third of a core, and more than half of one at paces two to three times as fast.
 */
export const FAST: Overrides = {
  server: { shutdownGrace: '1s' },
  expansion: { claimLease: '2s', poll: '250ms' },
  replication: { claimLease: '2s', poll: '250ms', unreferencedGrace: '1s', releaseEvery: '500ms' },
  leases: { ttl: '2s' },
  demand: { flushEvery: '250ms' },
  // The layers of test images are small, and would be everywhere.
  placement: { every: '500ms', smallLayersRatio: 0 },
  // Tests of other files have transactions open on the same server, which hold the feed back: what is known grows old meanwhile, and is right all the same.
  lookup: { followEvery: '100ms', staleMax: '30s', busyAfter: '10s', registryPatience: '10s' },
};

/** The environment of a service that listens on free ports and knows {@link TOKENS}. */
export function environmentOf(folder: string, registryUrl: string): Record<string, string> {
  return {
    TRANSLOCATOR_CONFIG: 'translocator.yaml',
    TRANSLOCATOR_PORT: '0',
    TRANSLOCATOR_FOLDER: folder,
    TRANSLOCATOR_REGISTRY_URL: registryUrl,
    TRANSLOCATOR_ADMIN_TOKEN: TOKENS.admin,
    TRANSLOCATOR_SERVICE_TOKEN: TOKENS.service,
    TRANSLOCATOR_NOTIFICATION_TOKEN: TOKENS.notification,
  };
}

/** The text of a configuration file with free ports everywhere. */
export function configText(overrides: Overrides): string {
  return stringify({ ...FAST, log: { level: 'warn' }, shares: { kind: 'embedded', port: 0 }, ...overrides });
}

/** Starts the service in this process with the embedded default, its database begun before, and its paces at {@link FAST}. Its log goes nowhere unless it is listened to. */
export async function startService(
  at: { readonly folder: string; readonly registryUrl: string },
  options: { readonly overrides?: Overrides; readonly environment?: Readonly<Record<string, string>>; readonly onLog?: (line: string) => void } = {},
): Promise<{ readonly client: ServiceClient; readonly translocator: Translocator }> {
  const { config, secrets } = loadConfig({
    environment: { ...environmentOf(at.folder, at.registryUrl), ...options.environment },
    readFile: () => configText(options.overrides ?? {}),
  });
  const database = join(config.folder, 'database');
  if (config.database.kind === 'embedded' && !existsSync(database)) {
    await using begun = await begunDatabase(MIGRATIONS);
    await begun.layInto(database);
  }
  const log = { write: (line: string): void => options.onLog?.(line) };
  const translocator = await startTranslocator(new Settings(config, secrets), { log });
  return { client: new ServiceClient(translocator.url), translocator };
}
