import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { LocalRegistry, pushImage } from '#registry/local';

import { buildProgram } from './built-program.js';
import { eventually } from './eventually.js';
import { notify } from './registry-events.js';
import type { ServiceClient } from './service-client.js';
import { ServiceProcess } from './service-process.js';
import { FAST, type Overrides } from './start-service.js';
import { temporaryDatabase } from './temporary-database.js';

const SHARE = 'layers';
/** How long a home share, a map or a pin may take to be there, in milliseconds. */
const SETTLED_MAX_MS = 120_000;

/** Where a deployment is, and what it is told. */
export interface SplitDeploymentOptions {
  /** A PostgreSQL that may be given a database. */
  readonly serverUrl: string;
  /** Where layers are expanded; one of `regions`. */
  readonly home: string;
  /** Each has a share, in an account of the same name. */
  readonly regions: readonly string[];
  /** As in the configuration; default every link the same. */
  readonly links?: readonly Readonly<Record<string, unknown>>[];
  /** Of the section `replication`, besides the fast paces of tests. */
  readonly replication?: Overrides;
  /** Whole sections instead of those of tests. */
  readonly sections?: Overrides;
  readonly logLevel?: 'debug' | 'info';
  /** Called before the service starts. */
  readonly prepare?: (emulator: TemporaryEmulator) => Promise<void>;
}

type Role = 'front' | 'worker';

/** An image that was pushed. */
export interface PushedTag {
  readonly repository: string;
  readonly tag: string;
}

/**
 * The service as it is deployed: lookup and control in one process, each worker in another, PostgreSQL, and the shares of some regions behind the REST API
 * of the emulator, which runs here and can be disturbed.
 */
export class SplitDeployment implements AsyncDisposable {
  readonly emulator: TemporaryEmulator;
  readonly registry: LocalRegistry;
  readonly databaseUrl: string;
  readonly #undo: AsyncDisposableStack;
  readonly #start: (role: Role, name: string, environment?: Readonly<Record<string, string>>) => Promise<ServiceProcess>;
  #front: ServiceProcess | undefined;

  private constructor(parts: { readonly emulator: TemporaryEmulator; readonly registry: LocalRegistry; readonly databaseUrl: string; readonly undo: AsyncDisposableStack; readonly start: (role: Role, name: string, environment?: Readonly<Record<string, string>>) => Promise<ServiceProcess> }) {
    this.emulator = parts.emulator;
    this.registry = parts.registry;
    this.databaseUrl = parts.databaseUrl;
    this.#undo = parts.undo;
    this.#start = parts.start;
  }

  /** Starts everything but workers. */
  static async start({ serverUrl, home, regions, links = [], replication, sections = {}, logLevel = 'info', prepare }: SplitDeploymentOptions): Promise<SplitDeployment> {
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-split-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const database = undo.use(await temporaryDatabase(serverUrl));
    const { main } = undo.use(await buildProgram());
    const registry = await LocalRegistry.start();
    undo.defer(() => registry.stop());
    const emulator = await startTemporaryEmulator(regions, { accounts: regions.map((name) => ({ name, key: TEST_KEY, region: name })) });
    undo.defer(() => emulator.close());
    await prepare?.(emulator);
    const overrides = {
      log: { level: logLevel },
      database: { kind: 'server', poolSize: 10 },
      shares: { kind: 'azure', credential: 'key' },
      regions: { home, links, list: regions.map((name) => ({ name, share: { account: name, endpoint: `${emulator.url}/${name}` } })) },
      replication: { ...(FAST['replication'] as object), bytesPerLinkDay: '100TiB', ...replication },
      ...sections,
    };
    const environment = { TRANSLOCATOR_DATABASE_URL: database.url, TRANSLOCATOR_SHARE_KEYS: regions.map((name) => `${name}=${TEST_KEY}`).join(',') };
    const start = (role: Role, name: string, more: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
      const args = ['--role', role === 'front' ? 'lookup,control' : 'worker'];
      return ServiceProcess.start({ main, folder: join(folder, name), registryUrl: registry.url, overrides, environment: { ...environment, ...more }, args });
    };
    const deployment = new SplitDeployment({ emulator, registry, databaseUrl: database.url, undo: undo.move(), start });
    try {
      deployment.#front = deployment.#undo.use(await start('front', 'front'));
    } catch (error) {
      await deployment[Symbol.asyncDispose]();
      throw error;
    }
    return deployment;
  }

  /** Speaks to lookup and control. */
  get client(): ServiceClient {
    return this.#front!.client;
  }

  /** What lookup and control logged. */
  get frontLog(): Record<string, unknown>[] {
    return this.#front!.log();
  }

  /** Starts one more process; it ends with the deployment. @param name of the folder that it has for itself, and that its successors find. */
  async startProcess(role: Role, name: string = role, environment: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    return this.#undo.use(await this.#start(role, name, environment));
  }

  /** Ends lookup and control as a crash does; until {@link startFront} nobody answers. */
  async killFront(): Promise<void> {
    await this.#front?.kill();
  }

  /** Starts the successor of a killed one, which is the one that {@link client} speaks to from now on. */
  async startFront(): Promise<void> {
    this.#front = await this.startProcess('front', 'front');
  }

  /** Where the share of a region is on the disk. */
  folderOf(region: string): string {
    return this.emulator.shareFolder(region, SHARE);
  }

  /** Pushes an image and tells the service of it. */
  async push({ repository, tag }: PushedTag, image: Parameters<typeof pushImage>[2]): Promise<void> {
    await pushImage({ url: this.registry.url, repository }, tag, image);
    const { status } = await notify(this.client, { action: 'push', repository, tag });
    if (status !== 202) throw new Error(`the notification of ${repository}:${tag} was answered ${status}`);
  }

  /** Has an image be in `regions` from now on. */
  async pin({ repository, tag }: PushedTag, regions: readonly string[]): Promise<void> {
    await eventually(`${repository}:${tag} can be pinned`, async () => {
      const { status, text } = await this.client.admin('pins', { method: 'POST', json: { repository, reference: tag, regions } });
      if (status !== 201) throw new Error(`the pin was answered ${status}: ${text}`);
      return true;
    }, { withinMs: SETTLED_MAX_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}
