import { createHash } from 'node:crypto';

import type { Config } from '#config';

/** Names a deployment by its database and its shares, without its secrets: the map of one is of no use to another. */
export function originOf(config: Pick<Config, 'database' | 'regions'>, databaseUrl: string | undefined): string {
  const database = databaseUrl === undefined ? config.database.kind : databaseOf(databaseUrl);
  const shares = config.regions.list.map(({ name, share }) => [name, share.account, share.shareName]);
  return createHash('sha256').update(JSON.stringify([database, shares])).digest('hex');
}

function databaseOf(url: string): readonly string[] {
  const { hostname, port, pathname } = new URL(url);
  return [hostname, port, pathname];
}
