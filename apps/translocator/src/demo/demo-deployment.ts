import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configSchema } from '#config';
import { LocalRegistry } from '#registry/local';

import { Settings } from '../foundation/settings.js';
import { startTranslocator, type Translocator } from '../translocator.js';
import { ApiClient } from './api-client.js';

/** Everything the demo runs on: temporary, on loopback, in this process. */
export interface DemoDeployment {
  readonly folder: string;
  readonly registryUrl: string;
  readonly service: Translocator;
  readonly api: ApiClient;
  /** Stops everything and removes its data. */
  close(): Promise<void>;
}

/** Starts a registry that notifies, and the service with three regions on the embedded default, its rhythms shortened so that minutes become seconds. */
export async function startDemoDeployment(): Promise<DemoDeployment> {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-demo-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const each of undo.splice(0).toReversed()) await each();
  };
  try {
    const port = await freePort();
    const registry = await LocalRegistry.start({ folder: join(folder, 'registry'), notify: [{ url: `http://127.0.0.1:${port}/notifications` }] });
    undo.push(() => registry.stop());
    const settings = new Settings(demoConfig(folder, { port, registryUrl: registry.url }), { shareKeys: {}, shareSas: {}, shareReadSas: {}, webhookSecrets: {} });
    const log = createWriteStream(join(folder, 'service.log'));
    undo.push(() => new Promise((resolve) => log.end(resolve)));
    const service = await startTranslocator(settings, { log: { write: (line) => void log.write(line) } });
    undo.push(() => service.stop());
    return { folder, registryUrl: registry.url, service, api: new ApiClient(service.url, settings.secrets.adminToken ?? ''), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function demoConfig(folder: string, at: { readonly port: number; readonly registryUrl: string }): Settings['config'] {
  return configSchema.parse({
    folder: join(folder, 'translocator'),
    server: { port: at.port },
    registry: { url: at.registryUrl },
    regions: {
      home: 'westeurope',
      list: [
        { name: 'westeurope', displayName: 'West Europe', share: { capacity: '4GiB' } },
        { name: 'eastus', displayName: 'East US', share: { capacity: '4GiB' } },
        { name: 'southeastasia', displayName: 'Southeast Asia', share: { capacity: '4GiB' } },
      ],
      links: [
        { from: 'westeurope', to: 'eastus', roundTripMs: 82, throughput: '600MB', pricePerGb: 0.05 },
        { from: 'westeurope', to: 'southeastasia', roundTripMs: 158, throughput: '400MB', pricePerGb: 0.05 },
        { from: 'eastus', to: 'southeastasia', roundTripMs: 222, throughput: '300MB', pricePerGb: 0.05 },
      ],
    },
    shares: { kind: 'embedded', port: 0 },
    expansion: { poll: '200ms' },
    replication: { poll: '200ms', unreferencedGrace: '5s', releaseEvery: '2s' },
    leases: { ttl: '2s' },
    demand: { flushEvery: '500ms' },
    // What is pulled is to be seen coming, also the smallest layers.
    placement: { every: '2s', smallLayersRatio: 0 },
    // One process does everything here, expansion included.
    lookup: { followEvery: '100ms', staleMax: '3s', busyAfter: '10s', registryPatience: '10s' },
  });
}

/** A port that nobody has at this moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
