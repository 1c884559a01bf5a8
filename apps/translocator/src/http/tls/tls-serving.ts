import type { Server as TlsServer } from 'node:tls';

import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import type { Clock } from '#clock';
import type { Config } from '#config';
import { type Logger, Metrics } from '#telemetry';

import { type HttpsRedirect, redirectToHttps } from './redirect-to-https.js';
import { checkTlsFiles, readTlsFiles, type TlsMaterial } from './tls-files.js';
import { secureOptions, TlsReload } from './tls-reload.js';

type TlsConfig = NonNullable<Config['server']['tls']>;

/** What a TLS server begins with. @throws {TlsFilesError} for files that cannot serve: a service that was told to use TLS never starts without. */
export async function openTls(config: TlsConfig, clock: Clock): Promise<TlsMaterial> {
  return checkTlsFiles(await readTlsFiles(config), config, clock.now());
}

/** How Node makes a TLS server. */
export interface TlsServerOptions extends ReturnType<typeof secureOptions> {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly handshakeTimeout: number;
  readonly ALPNProtocols: string[];
}

/** What is spoken here, as clients name it that choose (RFC 7301): without the second, one that says it speaks HTTP/1.0 is turned away in its greeting. */
const SPOKEN = ['http/1.1', 'http/1.0'];

/** How Node makes the server: whether clients are asked for certificates, whether they must have one, and how long greeting each other may take, in milliseconds. */
export function tlsServerOptions(config: TlsConfig, material: TlsMaterial, handshakeTimeout: number): TlsServerOptions {
  return { ...secureOptions(material), requestCert: config.clientCertificates !== 'none', rejectUnauthorized: config.clientCertificates === 'required', handshakeTimeout, ALPNProtocols: SPOKEN };
}

/** What runs beside a server that speaks TLS: the look at its files, and the redirect from plain http where that is wanted. */
export class TlsServing {
  readonly #reload: TlsReload;
  readonly #redirect: HttpsRedirect | undefined;

  private constructor(reload: TlsReload, redirect: HttpsRedirect | undefined) {
    this.#reload = reload;
    this.#redirect = redirect;
  }

  /** Begins for a server that listens. */
  static async start(app: NestFastifyApplication, parts: { readonly config: Config['server']; readonly material: TlsMaterial; readonly httpsPort: number; readonly clock: Clock; readonly logger: Logger }): Promise<TlsServing> {
    const { config, material, httpsPort, clock, logger } = parts;
    const paths = config.tls as TlsConfig;
    const redirect = paths.redirectPort === undefined ? undefined : await redirectToHttps({ host: config.host, port: paths.redirectPort, httpsPort });
    if (redirect !== undefined) logger.info({ port: redirect.port }, 'plain http is redirected to https');
    const reload = new TlsReload({ paths, material, server: app.getHttpServer() as unknown as TlsServer, clock, logger, metrics: app.get(Metrics) });
    reload.start();
    return new TlsServing(reload, redirect);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#reload.stop(), this.#redirect?.close()]);
  }
}
