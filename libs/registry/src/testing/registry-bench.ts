import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SystemClock } from '#clock';

import { RegistryClient, type RegistryClientOptions } from '../http/registry-client.js';
import { LocalRegistry, type LocalRegistryOptions, type PushTarget } from '../local/index.js';

/** What a spec of the client opens: registries, servers of its own, clients. `close` ends all of it. */
export class RegistryBench {
  readonly #closing: (() => Promise<unknown>)[] = [];

  /** Starts a registry. */
  async registry(options: LocalRegistryOptions = {}): Promise<LocalRegistry> {
    const registry = await LocalRegistry.start(options);
    this.#closing.push(() => registry.stop());
    return registry;
  }

  /** Starts a server that answers as it is told. @returns its URL. */
  async server(answer: RequestListener): Promise<string> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#closing.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Opens a client without credentials that tries three times, quickly, unless `options` say otherwise. */
  client(url: string, options: Partial<RegistryClientOptions> = {}): RegistryClient {
    const retry = { triesMax: 3, firstWaitMs: 1, waitMaxMs: 2, askedWaitMaxMs: 1500 };
    const client = new RegistryClient({ url, credentials: { kind: 'anonymous' }, clock: new SystemClock(), ...options, limits: { retry, ...options.limits } });
    this.#closing.push(() => client.close());
    return client;
  }

  /** Ends everything that was opened, the last first. */
  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).toReversed()) await close();
  }
}

/** The repository to which specs push. */
export function targetIn(registry: LocalRegistry): PushTarget {
  return { url: registry.url, repository: 'team/app' };
}

/** All bytes of a stream. */
export async function collectBytes(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}
