import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { type FolderLock, FolderLockError, lockFolder } from '#claims';
import { describeError } from '#errors';
import { KiB, MINUTE_MS, SECOND_MS } from '#quantities';

import { CopySourceReader } from './copy-source.js';
import { EmulatorError } from './emulator-error.js';
import { DEFAULT_PORT, type FileShareEmulatorOptions, optionProblems } from './emulator-options.js';
import { handleRequest, type ServiceContext } from './handle-request.js';
import { ShareCatalogue } from './storage/share-catalogue.js';
import { type AccountTraffic, TrafficMeter } from './traffic.js';

/** All headers of one request together: a copy source and its signature take 2 KiB, metadata 8 KiB. */
const HEADER_BYTES_MAX = 32 * KiB;
/** How long a client may take for the headers of a request, and for a whole one with its 4 MiB. */
const HEADERS_TIMEOUT_MS = 15 * SECOND_MS;
const REQUEST_TIMEOUT_MS = 2 * MINUTE_MS;
/** How long a connection may be silent within an answer, and between requests. */
const SILENCE_MAX_MS = 2 * MINUTE_MS;
const KEEP_ALIVE_MS = 65 * SECOND_MS;
const CONNECTIONS_MAX = 4096;
/** How often slow requests are looked for. */
const SLOWNESS_CHECK_MS = 5 * SECOND_MS;
const SERVER_OPTIONS = {
  connectionsCheckingInterval: SLOWNESS_CHECK_MS,
  maxHeaderSize: HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  highWaterMark: 256 * KiB,
  noDelay: true,
};
/** How long `close` waits for requests under way before it cuts them. */
const CLOSING_MAX_MS = 10 * SECOND_MS;
/** How often, meanwhile, connections are closed that have become idle: Node would keep them for their keep-alive time. */
const IDLE_CHECK_MS = 50;

/** A running emulator. */
export interface FileShareEmulator {
  /** `http://127.0.0.1:11004`, without a slash at the end; an account's endpoint is this and `/{account}`. */
  readonly url: string;
  readonly port: number;
  /** The exported folder of a share, whether or not it exists yet. */
  shareFolder(account: string, share: string): string;
  /** Payload bytes moved since the start, by account. */
  traffic(): Readonly<Record<string, AccountTraffic>>;
  /** Lets requests under way finish, for ten seconds at most, and gives the folder free. Repeating it changes nothing. */
  close(): Promise<void>;
}

/**
 * Starts an Azure Files endpoint over a folder: REST, path-style, SharedKey and SAS.
 * @param onDefect told of failures that clients saw as `InternalError`; default: a line on standard error.
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

async function serve(
  options: FileShareEmulatorOptions,
  onDefect: ServiceContext['onDefect'],
  lock: FolderLock,
): Promise<FileShareEmulator> {
  const accounts = new Map(options.accounts.map((account) => [account.name, account]));
  const catalogues = new Map<string, ShareCatalogue>();
  for (const name of accounts.keys()) catalogues.set(name, await ShareCatalogue.open(options.folder, name));
  const traffic = new TrafficMeter(accounts.keys());
  const hosts: string[] = [];
  const copySources = new CopySourceReader({ accounts, catalogues, traffic, hosts: () => hosts });
  const underWay = new Set<Promise<void>>();
  const serveOne = (request: IncomingMessage, response: ServerResponse): void => {
    const served = handleRequest({ accounts, catalogues, traffic, copySources, onDefect }, request, response).finally(() => underWay.delete(served));
    underWay.add(served);
  };
  const server = createServer(SERVER_OPTIONS, serveOne);
  server.maxConnections = CONNECTIONS_MAX;
  server.setTimeout(SILENCE_MAX_MS);
  const host = options.host ?? '127.0.0.1';
  const port = await listen(server, host, options.port ?? DEFAULT_PORT);
  const shownHost = host.includes(':') ? `[${host}]` : host;
  hosts.push(`${shownHost}:${port}`, `localhost:${port}`);
  let closing: Promise<void> | undefined;
  return {
    url: `http://${shownHost}:${port}`,
    port,
    shareFolder: (account, share) => join(options.folder, account, share),
    traffic: () => traffic.snapshot(),
    close: () => (closing ??= stop({ server, copySources, underWay, lock })),
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new EmulatorError('EMULATOR_NOT_LISTENING', `cannot listen on ${host}:${port}: ${describeError(error)}`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

interface Running {
  readonly server: Server;
  readonly copySources: CopySourceReader;
  readonly underWay: ReadonlySet<Promise<void>>;
  readonly lock: FolderLock;
}

async function stop({ server, copySources, underWay, lock }: Running): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), CLOSING_MAX_MS);
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  try {
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    await closed;
    await copySources.close();
    // Requests whose connection was cut may still be writing: the folder is theirs until they are done.
    await Promise.allSettled(underWay);
  } finally {
    clearTimeout(cut);
    clearInterval(idle);
    await lock.release();
  }
}

function writeDefect(error: unknown, operation: string): void {
  process.stderr.write(`file-share-emulator: ${operation}: ${describeError(error)}\n`);
}
