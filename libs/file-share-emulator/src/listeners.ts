import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describeError } from '#errors';
import { KiB, MINUTE_MS, SECOND_MS } from '#quantities';

import { EmulatorError } from './emulator-error.js';
import { DEFAULT_HTTPS_PORT, DEFAULT_PORT, type FileShareEmulatorOptions } from './emulator-options.js';
import { RECORDS_FOLDER } from './storage/share-catalogue.js';
import { keptCertificate } from './tls/certificate-files.js';

/** All headers of one request together: a copy source and its signature take 2 KiB, metadata 8 KiB, a permission 8 KiB. */
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
/** How often, while a server closes, connections are closed that have become idle: Node would keep them for their keep-alive time. */
const IDLE_CHECK_MS = 50;

/** A port that is listened on. */
export interface Listener {
  readonly server: Server;
  readonly port: number;
}

/** Where an emulator is reached. */
export interface Listeners {
  readonly plain: Listener;
  readonly secure: Listener | undefined;
  /** PEM of the certificate that HTTPS is served with. */
  readonly certificate: string | undefined;
  /** The host of URLs: in brackets where it is an IPv6 address. */
  readonly host: string;
}

/** Listens for HTTP, and for HTTPS where that is wanted. @throws {EmulatorError} `EMULATOR_NOT_LISTENING` */
export async function openListeners({ folder, host = '127.0.0.1', port = DEFAULT_PORT, https, accounts }: FileShareEmulatorOptions, serve: RequestListener): Promise<Listeners> {
  const plain = await listen(createServer(SERVER_OPTIONS, serve), host, port);
  const shown = host.includes(':') ? `[${host}]` : host;
  if (https === undefined) return { plain, secure: undefined, certificate: undefined, host: shown };
  try {
    const accountHosts = accounts.flatMap(({ name }) => [`${name}.file.localhost`, `${name}.file.core.windows.net`]);
    const names = [...new Set(['localhost', '127.0.0.1', '::1', host, ...accountHosts, ...(https.names ?? [])])];
    const { certificate, key } = https.certificate !== undefined && https.key !== undefined
      ? { certificate: https.certificate, key: https.key }
      : await keptCertificate(join(folder, RECORDS_FOLDER, '.tls'), names);
    const secure = await listen(createSecureServer({ ...SERVER_OPTIONS, cert: certificate, key }, serve), host, https.port ?? DEFAULT_HTTPS_PORT);
    return { plain, secure, certificate, host: shown };
  } catch (error) {
    plain.server.close();
    throw error;
  }
}

/** Listens with `server` on `host` and `port` (0: a free one). @throws {EmulatorError} `EMULATOR_NOT_LISTENING` */
export async function listen(server: Server, host: string, port: number): Promise<Listener> {
  server.maxConnections = CONNECTIONS_MAX;
  server.setTimeout(SILENCE_MAX_MS);
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new EmulatorError('EMULATOR_NOT_LISTENING', `cannot listen on ${host}:${port}: ${describeError(error)}`, { cause: error });
  }
  return { server, port: (server.address() as AddressInfo).port };
}

/** Takes no more connections, lets the requests under way finish for `graceMs`, then cuts them. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  try {
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    await closed;
  } finally {
    clearTimeout(cut);
    clearInterval(idle);
  }
}
