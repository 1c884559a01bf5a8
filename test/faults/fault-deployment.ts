import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startTemporaryEmulator, type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { LocalRegistry, pushImage } from '#registry/local';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import { buildProgram } from '../e2e/support/built-program.js';
import { eventually } from '../e2e/support/eventually.js';
import { notify } from '../e2e/support/registry-events.js';
import type { ServiceClient } from '../e2e/support/service-client.js';
import { ServiceProcess } from '../e2e/support/service-process.js';
import { FAST } from '../e2e/support/start-service.js';
import { temporaryDatabase } from '../e2e/support/temporary-database.js';

/** Where layers are expanded. */
export const HOME = 'westeurope';
/** Where they are copied to, in every run. */
export const FAR = ['eastus', 'southeastasia'] as const;
/** Where the share is being deleted when the service starts. */
export const REBUILT = 'brazilsouth';
const SHARE = 'layers';

/** The far regions are close to each other, so that it is cheaper to pass on what one of them has. */
const CLOSE = FAR.map((from, n) => ({ from, to: FAR[1 - n], roundTripMs: 20, throughput: '250MB', pricePerGb: 0.01 }));

/** How long the share in {@link REBUILT} stays in the way. */
const DELETION_MS = 4_000;
/** After this a partial file that nobody claims is an orphan: the hour of the product, in a run that lasts minutes. */
export const PARTIAL_AGE_MAX = '3s';
/** How long a home share, a map or a pin may take to be there, in milliseconds. */
const SETTLED_MAX_MS = 120_000;

/** An image that was pushed. */
export interface PushedTag {
  readonly repository: string;
  readonly tag: string;
}

/**
 * The service as it is deployed: lookup and control in one process, the worker in another, PostgreSQL, and the shares of four regions behind the REST API
 * of the emulator, which runs here and can be disturbed.
 */
export class FaultDeployment implements AsyncDisposable {
  readonly emulator: TemporaryEmulator;
  readonly registry: LocalRegistry;
  readonly #undo: AsyncDisposableStack;
  readonly #start: (role: 'front' | 'worker') => Promise<ServiceProcess>;
  #front: ServiceProcess | undefined;

  private constructor(parts: { readonly emulator: TemporaryEmulator; readonly registry: LocalRegistry; readonly undo: AsyncDisposableStack; readonly start: FaultDeployment['startProcess'] }) {
    this.emulator = parts.emulator;
    this.registry = parts.registry;
    this.#undo = parts.undo;
    this.#start = parts.start;
  }

  /**
   * Starts everything but a worker. The share of {@link REBUILT} was deleted a moment before, and its name is still taken.
   * @param serverUrl of a PostgreSQL that may be given a database.
   */
  static async start(serverUrl: string): Promise<FaultDeployment> {
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-faults-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const database = undo.use(await temporaryDatabase(serverUrl));
    const { main } = undo.use(await buildProgram());
    const registry = await LocalRegistry.start();
    undo.defer(() => registry.stop());
    const regions = [HOME, ...FAR, REBUILT];
    const emulator = await startTemporaryEmulator(regions, { accounts: regions.map((name) => ({ name, key: TEST_KEY, region: name })) });
    undo.defer(() => emulator.close());
    await beginDeletion(emulator);
    const overrides = {
      log: { level: 'info' },
      database: { kind: 'server', poolSize: 10 },
      shares: { kind: 'azure', credential: 'key' },
      regions: { home: HOME, links: CLOSE, list: regions.map((name) => ({ name, share: { account: name, endpoint: `${emulator.url}/${name}` } })) },
      replication: { ...(FAST['replication'] as object), fullPause: '2s', partialAgeMax: PARTIAL_AGE_MAX, bytesPerLinkDay: '100TiB' },
    };
    const environment = { TRANSLOCATOR_DATABASE_URL: database.url, TRANSLOCATOR_SHARE_KEYS: regions.map((name) => `${name}=${TEST_KEY}`).join(',') };
    const start = (role: 'front' | 'worker'): Promise<ServiceProcess> => {
      const args = ['--role', role === 'front' ? 'lookup,control' : 'worker'];
      return ServiceProcess.start({ main, folder: join(folder, role), registryUrl: registry.url, overrides, environment, args });
    };
    const deployment = new FaultDeployment({ emulator, registry, undo: undo.move(), start });
    try {
      deployment.#front = deployment.#undo.use(await start('front'));
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

  /** Starts one more process; it ends with the deployment. */
  async startProcess(role: 'front' | 'worker'): Promise<ServiceProcess> {
    return this.#undo.use(await this.#start(role));
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

async function beginDeletion(emulator: TemporaryEmulator): Promise<void> {
  const account = new AzureFilesAccount({ name: REBUILT, endpoint: `${emulator.url}/${REBUILT}`, credential: { kind: 'key', key: TEST_KEY } });
  await new AzureFilesShare({ name: REBUILT, region: REBUILT, capacityBytes: 2 ** 30, shareName: SHARE, account }).ensureExists();
  emulator.control.disturb({ faults: [{ kind: 'slow-deletion', ms: DELETION_MS }] });
  await account.client(SHARE).delete();
}
