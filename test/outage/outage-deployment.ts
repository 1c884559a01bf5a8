import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startTemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { LocalRegistry, pushImage } from '#registry/local';

import { buildProgram } from '../e2e/support/built-program.js';
import { eventually } from '../e2e/support/eventually.js';
import { smallImage } from '../e2e/support/real-layers.js';
import { notify } from '../e2e/support/registry-events.js';
import type { ServiceClient } from '../e2e/support/service-client.js';
import { ServiceProcess } from '../e2e/support/service-process.js';
import { FAST } from '../e2e/support/start-service.js';
import { temporaryDatabase } from '../e2e/support/temporary-database.js';
import { wrongClock } from '../e2e/support/wrong-clock.js';
import { BreakableProxy } from './breakable-proxy.js';
import type { AskedPull } from './pull-load.js';
import { AUDIENCE, TokenSigner } from './token-signer.js';

export const HOME = 'westeurope';
export const FAR = 'eastus';
const REGIONS = [HOME, FAR];
const REPOSITORY = 'team/app';

/** The ways of the lookup process to what it stands on, and of both processes to the share in {@link FAR}. Those to the database, the registry and the share of {@link HOME} are what a partition takes from a lookup in {@link FAR}. */
export interface Ways {
  readonly database: BreakableProxy;
  readonly registry: BreakableProxy;
  readonly homeShare: BreakableProxy;
  readonly farShare: BreakableProxy;
  /** To the keys of the registry's tokens. */
  readonly tokenKeys: BreakableProxy;
}

/** How a lookup process is started. */
export interface LookupStart {
  /** Its clock is wrong by so many minutes. */
  readonly skewMinutes?: number;
  readonly busyAfter?: string;
  /** How old what it knows may be before it mounts nothing. */
  readonly staleMax?: string;
  /** Whether it verifies signed tokens by itself; otherwise it asks the registry about every credential. */
  readonly verifiesTokens?: boolean;
}

/**
 * The service as it is deployed: control and worker in one process, which nothing happens to, and lookups in processes of their own, whose ways to PostgreSQL, to the registry and to a
 * share can be broken.
 */
export class OutageDeployment implements AsyncDisposable {
  readonly ways: Ways;
  readonly databaseUrl: string;
  readonly registry: LocalRegistry;
  readonly signer: TokenSigner;
  /** Where what belongs to the run may be put. */
  readonly folder: string;
  readonly #undo: AsyncDisposableStack;
  readonly #start: (name: string, roles: string, how: LookupStart) => Promise<ServiceProcess>;
  #control: ServiceProcess | undefined;
  #lookup: ServiceProcess | undefined;

  private constructor(parts: Pick<OutageDeployment, 'ways' | 'databaseUrl' | 'registry' | 'signer' | 'folder'> & { readonly undo: AsyncDisposableStack; readonly start: (name: string, roles: string, how: LookupStart) => Promise<ServiceProcess> }) {
    this.ways = parts.ways;
    this.databaseUrl = parts.databaseUrl;
    this.registry = parts.registry;
    this.signer = parts.signer;
    this.folder = parts.folder;
    this.#undo = parts.undo;
    this.#start = parts.start;
  }

  /**
   * Starts everything, a lookup process included.
   * @param serverUrl of a PostgreSQL that may be given a database.
   */
  static async start(serverUrl: string): Promise<OutageDeployment> {
    await using undo = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'translocator-outage-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const { url: databaseUrl } = undo.use(await temporaryDatabase(serverUrl));
    const { main } = undo.use(await buildProgram());
    const registry = await LocalRegistry.start();
    undo.defer(() => registry.stop());
    const emulator = await startTemporaryEmulator(REGIONS, { accounts: REGIONS.map((name) => ({ name, key: TEST_KEY, region: name })) });
    undo.defer(() => emulator.close());
    const signer = undo.use(await TokenSigner.start());
    const ways = { database: undo.use(await BreakableProxy.to(databaseUrl)), registry: undo.use(await BreakableProxy.to(registry.url)), homeShare: undo.use(await BreakableProxy.to(emulator.url)), farShare: undo.use(await BreakableProxy.to(emulator.url)), tokenKeys: undo.use(await BreakableProxy.to(signer.url)) };
    const start = (name: string, roles: string, { skewMinutes = 0, busyAfter = '10s', staleMax = '2m', verifiesTokens = false }: LookupStart): Promise<ServiceProcess> => {
      const isLookup = roles === 'lookup';
      const shareUrl = (region: string): string => (region === FAR ? ways.farShare.by(emulator.url) : isLookup ? ways.homeShare.by(emulator.url) : emulator.url);
      const overrides = {
        log: { level: 'info' },
        database: { kind: 'server', poolSize: 10 },
        shares: { kind: 'azure', credential: 'key' },
        regions: { home: HOME, list: REGIONS.map((region) => ({ name: region, share: { account: region, endpoint: `${shareUrl(region)}/${region}` } })) },
        leases: { ttl: '10s' },
        ...(verifiesTokens ? { registry: { tokens: { realm: registry.url, service: AUDIENCE, keys: [{ jwks: ways.tokenKeys.by(signer.url) }] } } } : {}),
        lookup: { ...(FAST['lookup'] as object), staleMax, busyAfter, registryPatience: '30ms' },
      };
      const environment = {
        TRANSLOCATOR_DATABASE_URL: isLookup ? ways.database.by(databaseUrl) : databaseUrl,
        ...(skewMinutes === 0 ? {} : wrongClock(skewMinutes)),
        TRANSLOCATOR_SHARE_KEYS: REGIONS.map((region) => `${region}=${TEST_KEY}`).join(','),
      };
      return ServiceProcess.start({ main, folder: join(folder, name), registryUrl: isLookup ? ways.registry.by(registry.url) : registry.url, overrides, environment, args: ['--role', roles] });
    };
    const deployment = new OutageDeployment({ ways, databaseUrl, registry, signer, folder, undo: undo.move(), start });
    try {
      deployment.#control = deployment.#undo.use(await start('control', 'control,worker', {}));
      await deployment.startLookup();
    } catch (error) {
      await deployment[Symbol.asyncDispose]();
      throw error;
    }
    return deployment;
  }

  /** Speaks to control. */
  get control(): ServiceClient {
    return this.#control!.client;
  }

  /** Where the lookup process answers. */
  get lookup(): ServiceProcess {
    return this.#lookup!;
  }

  /** Starts a lookup process, in the place of the one before, and in its folder. */
  async startLookup(how: LookupStart = {}): Promise<ServiceProcess> {
    await this.#lookup?.kill();
    this.#lookup = this.#undo.use(await this.#start('lookup', 'lookup', how));
    return this.#lookup;
  }

  /** Pushes an image of three layers and has it in both regions; returns how it is pulled in each, by both ways. */
  async imageInBothRegions(tag: string): Promise<readonly AskedPull[]> {
    const pushed = await pushImage({ url: this.registry.url, repository: REPOSITORY }, tag, smallImage(`${tag} low`, `${tag} middle`, `${tag} high`));
    await this.control.enable(REPOSITORY);
    await notify(this.control, { action: 'push', repository: REPOSITORY, tag });
    await eventually('the image can be pinned', async () => (await this.control.admin('pins', { method: 'POST', json: { repository: REPOSITORY, reference: tag, regions: [FAR] } })).status === 201);
    for (const region of REGIONS) await eventually(`the image is ready in ${region}`, () => this.control.readyIn(region, REPOSITORY, tag));
    return REGIONS.flatMap((region) => (['mount', 'lookup'] as const).map((kind) => ({ kind, repository: REPOSITORY, tag, manifest: pushed.digest, layers: pushed.layers, region })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}
