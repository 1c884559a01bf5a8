import type { FastifyRequest } from 'fastify';

import type { Config } from '#config';
import { type RelayedCaller, withRealm } from '#registry';

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

  /** The realm of challenges for this client; undefined leaves the registry's own. A name without a port is the client's with any. */
  realmFor(request: FastifyRequest): string | undefined {
    const { host, protocol } = this.callerOf(request);
    return this.#ownRealm && (this.serves(host) || this.serves(host.replace(/:\d+$/, ''))) ? `${protocol}://${host}/oauth2/token` : undefined;
  }

  /** A challenge of the registry as this client must see it. */
  challengeFor(request: FastifyRequest, challenge: string): string {
    const realm = this.realmFor(request);
    return realm === undefined ? challenge : withRealm(challenge, realm);
  }
}
