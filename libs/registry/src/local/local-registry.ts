import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { isRepositoryName } from '#oci';

import { FolderBlobVault, MemoryBlobVault } from './blob-vault.js';
import { answerBlob, answerManifest, answerTags } from './registry-answers.js';
import { RegistryContents } from './registry-contents.js';
import { answer, type Exchange, refuse, routeOf } from './registry-exchange.js';
import { type RegistryFault, RegistryFaults } from './registry-faults.js';
import { type RegistryAccessRules, RegistryGate } from './registry-gate.js';
import { type NotificationEndpoint, RegistryNotifier } from './registry-notifier.js';
import { answerUpload, type RegistryBackstage } from './registry-uploads.js';

/** How a {@link LocalRegistry} is set up. */
export interface LocalRegistryOptions {
  /** Keeps blobs there instead of in memory. What is in which repository is in memory in any case. */
  readonly folder?: string;
  /** 0 or absent: any free one. */
  readonly port?: number;
  /** Absent: anybody may do anything. */
  readonly access?: RegistryAccessRules;
  readonly notify?: readonly NotificationEndpoint[];
}

/** A request that a {@link LocalRegistry} has seen. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** Requests that are remembered; the oldest go. */
const SEEN_MAX = 10_000;

/**
 * A small OCI registry (distribution-spec 1.1: pull, push, content discovery without referrers, content management) over HTTP on loopback, with
 * access rules, notifications, and faults on demand. It is the registry of the demo and of specs; what is in which repository ends with it.
 */
export class LocalRegistry {
  /** Failures to come. */
  readonly faults = new RegistryFaults();
  /** What was asked so far, oldest first. */
  readonly seen: SeenRequest[] = [];
  readonly gate: RegistryGate;
  readonly notifier: RegistryNotifier;
  readonly #stage: RegistryBackstage;
  readonly #server: Server;

  private constructor(options: LocalRegistryOptions) {
    this.gate = new RegistryGate(options.access);
    this.notifier = new RegistryNotifier(options.notify ?? []);
    const vault = options.folder === undefined ? new MemoryBlobVault() : new FolderBlobVault(options.folder);
    this.#stage = { contents: new RegistryContents(), vault, notifier: this.notifier };
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // Big blobs and slow builders take their time.
    this.#server.requestTimeout = 0;
  }

  /** Starts listening on 127.0.0.1. */
  static async start(options: LocalRegistryOptions = {}): Promise<LocalRegistry> {
    const registry = new LocalRegistry(options);
    await new Promise<void>((resolve, reject) => {
      registry.#server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return registry;
  }

  /** `127.0.0.1:PORT`: the first part of an image's name. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://${this.host}`;
  }

  /** Ends listening, cuts every connection, and drops notifications that wait. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await Promise.all([closed, this.notifier.stop()]);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    this.#remember(request);
    try {
      const exchange = routeOf(request, response);
      if (exchange === undefined) response.writeHead(404, { 'content-length': 0 }).end();
      else await this.#answer(exchange);
    } catch (error) {
      // A client that went away in the middle is no fault of ours; anything else must show.
      if (!request.destroyed && !response.headersSent) response.writeHead(500).end(String(error));
      else response.destroy();
    }
  }

  #remember(request: IncomingMessage): void {
    this.seen.push({ method: request.method ?? '', path: request.url ?? '', authorization: request.headers.authorization, range: request.headers.range });
    if (this.seen.length > SEEN_MAX) this.seen.shift();
  }

  async #answer(exchange: Exchange): Promise<void> {
    const fault = this.faults.take(exchange);
    if (fault !== undefined && showsInstead(exchange, fault)) return;
    if (exchange.part === 'token') return this.gate.issue(exchange);
    if (!this.gate.admits(exchange)) return;
    if (exchange.part === 'base') return answer(exchange, 200);
    if (!isRepositoryName(exchange.repository)) return refuse(exchange, 400, 'NAME_INVALID');
    if (exchange.part === 'uploads') return answerUpload(exchange, this.#stage);
    if (exchange.part === 'blobs') return answerBlob(exchange, this.#stage, fault);
    if (exchange.part === 'tags') return answerTags(exchange, this.#stage);
    return answerManifest(exchange, this.#stage, fault);
  }
}

/** Shows the faults that take the place of an answer. */
function showsInstead(exchange: Exchange, fault: RegistryFault): boolean {
  switch (fault.kind) {
    case 'silence':
      return true;
    case 'status':
      refuse(
        exchange,
        fault.status,
        fault.status === 429 ? 'TOOMANYREQUESTS' : 'UNKNOWN',
        fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter },
      );
      return true;
    case 'redirect':
      answer(exchange, 307, { location: fault.to });
      return true;
    case 'cut':
    case 'stall':
    case 'wrong-byte':
    case 'no-ranges':
      return false;
  }
}
