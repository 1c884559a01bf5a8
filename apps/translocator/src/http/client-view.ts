import type { FastifyRequest } from 'fastify';

import type { Config } from '#config';
import { type RelayedCaller, withRealm } from '#registry';

import { HttpProblem } from './http-problem.js';

/** What a `Host` header may hold to be written into an answer: a name or an address, and a port. */
const HOST = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** How clients see this service: by which name, by which names of the registry, and where they are sent for tokens. */
export class ClientView {
  readonly #registryHost: string;
  readonly #names: ReadonlySet<string>;
  readonly #ownRealm: boolean;

  constructor({ registry, gateway }: Pick<Config, 'registry' | 'gateway'>) {
    this.#registryHost = new URL(registry.url).host;
    this.#names = new Set([this.#registryHost, ...gateway.hosts].map((name) => name.toLowerCase()));
    this.#ownRealm = gateway.realm === 'own';
  }

  /** Who asks, and by which name it calls this service; by the registry's own where it says none that can be repeated. */
  callerOf(request: FastifyRequest): RelayedCaller {
    const host = HOST.test(request.host) ? request.host : this.#registryHost;
    return { address: request.ip, host, protocol: request.protocol === 'https' ? 'https' : 'http' };
  }

  /** Whether a registry of this name, as the `ns` of a request has it, is the one behind this service. */
  serves(name: string): boolean {
    return this.#names.has(name.toLowerCase());
  }

  /** Passes for a request that means the registry behind this service, or does not say which: its `ns` is as containerd's. @throws {HttpProblem} 404 for one that means another. */
  refuseOthers({ query }: FastifyRequest): void {
    const { ns } = query as Record<string, unknown>;
    for (const name of [ns ?? []].flat() as readonly unknown[]) {
      if (typeof name === 'string' && this.serves(name)) continue;
      throw new HttpProblem(404, { code: 'NAME_UNKNOWN', title: 'Not found', detail: `this service does not stand in front of ${typeof name === 'string' ? name.slice(0, 255) : 'that'}` });
    }
  }

  /** The realm of challenges for this client; undefined leaves the registry's own. A name without a port is the client's with any. */
  realmFor(request: FastifyRequest): string | undefined {
    const { host, protocol } = this.callerOf(request);
    // Who calls this service by nothing that can be repeated is not led to where only this service reaches the registry.
    if (!HOST.test(request.host)) return undefined;
    return this.#ownRealm && (this.serves(host) || this.serves(host.replace(/:\d+$/, ''))) ? `${protocol}://${host}/oauth2/token` : undefined;
  }

  /** A challenge of the registry as this client must see it. */
  challengeFor(request: FastifyRequest, challenge: string): string {
    const realm = this.realmFor(request);
    return realm === undefined ? challenge : withRealm(challenge, realm);
  }
}
