import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';

import { type FolderLock, FolderLockError, lockFolder } from '#claims';
import { describeError } from '#errors';
import { SECOND_MS } from '#quantities';

import type { Access } from './access/access.js';
import { TokenVerifier } from './access/bearer-token.js';
import { createControlServer } from './control/control-server.js';
import { Disturbances } from './control/disturbances.js';
import { EmulatorControl } from './control/emulator-control.js';
import { CopySourceReader } from './copy-source.js';
import { EmulatorError } from './emulator-error.js';
import { type FileShareEmulatorOptions, optionProblems } from './emulator-options.js';
import { FileCopies } from './file-copies.js';
import { handleRequest } from './handle-request.js';
import { closeServer, listen, type Listener, type Listeners, openListeners } from './listeners.js';
import type { ServiceContext } from './service-context.js';
import { ShareCatalogue } from './storage/share-catalogue.js';
import { type AccountTraffic, TrafficMeter } from './traffic.js';

/** How long `close` waits for requests under way before it cuts them. */
const CLOSING_MAX_MS = 10 * SECOND_MS;
/** How long the name of a deleted share stays taken where deletion is slow: as Azure says. */
const SLOW_DELETION_MS = 30 * SECOND_MS;

/** A running emulator. */
export interface FileShareEmulator {
  /** `http://127.0.0.1:11004`, without a slash at the end; an account's endpoint is this and `/{account}`. */
  readonly url: string;
  readonly port: number;
  /** As `url`, with HTTPS; absent where that is not served. */
  readonly secureUrl: string | undefined;
  /** PEM of the certificate that HTTPS is served with: what clients have to trust where it was made by the emulator. */
  readonly certificate: string | undefined;
  /** Limits, faults and what SMB clients do. */
  readonly control: EmulatorControl;
  /** Where the same is reached over HTTP; absent where that was not asked for. */
  readonly controlUrl: string | undefined;
  /** The exported folder of a share, whether or not it exists yet. */
  shareFolder(account: string, share: string): string;
  /** Payload bytes moved since the start, by account. */
  traffic(): Readonly<Record<string, AccountTraffic>>;
  /** Stops listening, lets requests under way finish for some seconds, and gives the folder free. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Serves the REST API of Azure Files over a folder of this machine.
 * @param onDefect told of failures that clients see as `InternalError`; default: a line on standard error.
 * @throws {EmulatorError}
 */
export async function startFileShareEmulator(
  options: FileShareEmulatorOptions,
  onDefect: (error: unknown, operation: string) => void = writeDefect,
): Promise<FileShareEmulator> {
  const problems = optionProblems(options);
  if (problems.length > 0) throw new EmulatorError('EMULATOR_OPTIONS_INVALID', problems.join('; '), { details: { problems } });
  const lock = await lockFolder(options.folder).catch((error: unknown) => {
    if (error instanceof FolderLockError) throw new EmulatorError('EMULATOR_FOLDER_LOCKED', error.message, { cause: error });
    throw error;
  });
  try {
    return await serve(options, onDefect, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function serve(options: FileShareEmulatorOptions, onDefect: ServiceContext['onDefect'], lock: FolderLock): Promise<FileShareEmulator> {
  const origins: string[] = [];
  const service = await openService(options, { onDefect, origins });
  const underWay = new Set<Promise<void>>();
  const serveOne = (request: IncomingMessage, response: ServerResponse): void => {
    const served = handleRequest(service, request, response).finally(() => underWay.delete(served));
    underWay.add(served);
  };
  const listeners = await openListeners(options, serveOne);
  const { plain, secure, host, certificate } = listeners;
  const control = new EmulatorControl(service.disturbances, service.catalogues);
  const controlListener = await openControl(options, { control, service, listeners });
  for (const name of [host, 'localhost']) origins.push(`http://${name}:${plain.port}`, ...(secure === undefined ? [] : [`https://${name}:${secure.port}`]));
  const servers = [plain, secure, controlListener].flatMap((listener) => (listener === undefined ? [] : [listener]));
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host}:${plain.port}`,
    port: plain.port,
    secureUrl: secure === undefined ? undefined : `https://${host}:${secure.port}`,
    certificate,
    control,
    controlUrl: controlListener === undefined ? undefined : `http://127.0.0.1:${controlListener.port}`,
    shareFolder: (account, share) => join(options.folder, account, share),
    traffic: () => service.traffic.snapshot(),
    close: () => (closing ??= stop({ servers, service, underWay, lock })),
  };
}

async function openService(options: FileShareEmulatorOptions, { onDefect, origins }: { readonly onDefect: ServiceContext['onDefect']; readonly origins: readonly string[] }): Promise<ServiceContext> {
  const accounts = new Map(options.accounts.map((account) => [account.name, account]));
  const disturbances = new Disturbances(options.disturbances);
  const catalogues = new Map<string, ShareCatalogue>();
  for (const account of accounts.keys()) {
    const slowness = (): number => {
      const fault = disturbances.strike('slow-deletion', { account });
      return fault === undefined ? 0 : (fault.ms ?? SLOW_DELETION_MS);
    };
    catalogues.set(account, await ShareCatalogue.open(options.folder, account, { retentionDays: options.deleteRetentionDays ?? 0, lingerMs: slowness }));
  }
  const access: Access = {
    accounts,
    tokens: options.issuer === undefined ? undefined : new TokenVerifier(options.issuer),
    policiesOf: (account, share) => catalogues.get(account)?.find(share)?.record.policies ?? [],
  };
  const traffic = new TrafficMeter(accounts.keys());
  const copySources = new CopySourceReader({ access, catalogues, traffic, disturbances, origins: () => origins });
  return { access, catalogues, traffic, disturbances, copySources, copies: new FileCopies(copySources, traffic), onDefect };
}

interface ControlParts {
  readonly control: EmulatorControl;
  readonly service: ServiceContext;
  readonly listeners: Listeners;
}

async function openControl({ controlPort }: FileShareEmulatorOptions, { control, service, listeners }: ControlParts): Promise<Listener | undefined> {
  if (controlPort === undefined) return undefined;
  try {
    return await listen(createControlServer({ control, traffic: service.traffic }), '127.0.0.1', controlPort);
  } catch (error) {
    listeners.plain.server.close();
    listeners.secure?.server.close();
    throw error;
  }
}

interface Running {
  readonly servers: readonly Listener[];
  readonly service: ServiceContext;
  readonly underWay: ReadonlySet<Promise<void>>;
  readonly lock: FolderLock;
}

async function stop({ servers, service, underWay, lock }: Running): Promise<void> {
  try {
    await Promise.all(servers.map(({ server }) => closeServer(server, CLOSING_MAX_MS)));
    await service.copies.close();
    await service.copySources.close();
    // Requests whose connection was cut may still be writing: the folder is theirs until they are done.
    await Promise.allSettled(underWay);
  } finally {
    await lock.release();
  }
}

function writeDefect(error: unknown, operation: string): void {
  process.stderr.write(`file-share-emulator: ${operation}: ${describeError(error)}\n`);
}
