import 'reflect-metadata';

import type { AddressInfo, Socket } from 'node:net';

import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { DestinationStream } from 'pino';

import { type Clock, SystemClock } from '#clock';
import { createLogger, type Logger } from '#telemetry';

import { AppModule } from './app.module.js';
import { openResources, type Resources } from './foundation/resources.js';
import type { Settings } from './foundation/settings.js';
import { configureHttp, HTTP_LIMITS, serverLimits } from './http/configure-http.js';
import { refuseUnreadable } from './http/problem.filter.js';
import type { TlsMaterial } from './http/tls/tls-files.js';
import { openTls, TlsServing, tlsServerOptions } from './http/tls/tls-serving.js';
import { refuseConnection, type UnreadableRequest } from './http/unreadable-requests.js';
import { NestLogger } from './foundation/nest-logger.js';

/** A running service. */
export interface Translocator {
  /** Where it answers: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly resources: Resources;
  /** Rejects when the service cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Stops answering, finishes or gives back the work under way within the configured grace, and closes everything. */
  stop(): Promise<void>;
}

/** What a service may be started with besides its settings. */
export interface TranslocatorOptions {
  /** The machine's clock unless a test says otherwise. */
  readonly clock?: Clock;
  /** Where log lines go; standard output by default. */
  readonly log?: DestinationStream;
}

/** Starts the service in this process with the roles of its settings; it answers when this returns. What was started is stopped again on failure. */
export async function startTranslocator(settings: Settings, options: TranslocatorOptions = {}): Promise<Translocator> {
  const clock = options.clock ?? new SystemClock();
  const logger = createLogger(settings.config.log.level, options.log);
  const { server } = settings.config;
  // First: a service that was told to use TLS never begins without.
  const material = server.tls === undefined ? undefined : await openTls(server.tls, clock);
  const resources = await openResources(settings, clock, logger);
  let app: NestFastifyApplication | undefined;
  let tls: TlsServing | undefined;
  try {
    app = await createApp({ settings, clock, logger, resources }, material);
    await app.listen({ host: server.host, port: server.port });
    const httpsPort = (app.getHttpServer().address() as AddressInfo).port;
    tls = material === undefined ? undefined : await TlsServing.start(app, { config: server, material, httpsPort, clock, logger });
  } catch (error) {
    await tls?.stop();
    await app?.close();
    await resources.close();
    throw error;
  }
  const started = app;
  // Nest does not know that Fastify was given certificates.
  const url = (await started.getUrl()).replace('[::1]', 'localhost').replace(/^http:/, tls === undefined ? 'http:' : 'https:');
  logger.info({ url, roles: settings.config.roles }, 'the service has started');
  let stopping: Promise<void> | undefined;
  return {
    url,
    resources,
    failed: resources.failed,
    stop: () => (stopping ??= stop({ app: started, tls, resources, logger })),
  };
}

async function createApp(foundation: { settings: Settings; clock: Clock; logger: Logger; resources: Resources }, material: TlsMaterial | undefined): Promise<NestFastifyApplication> {
  const { config } = foundation.settings;
  const { requestTimeout, ...server } = serverLimits(config);
  const clientErrorHandler = (error: UnreadableRequest, socket: Socket): void => refuseConnection(error, socket, server.maxHeaderSize);
  const adapterOptions = { ...HTTP_LIMITS, requestTimeout, frameworkErrors: refuseUnreadable, clientErrorHandler, trustProxy: config.server.trustedProxies };
  const adapter =
    material === undefined || config.server.tls === undefined
      ? new FastifyAdapter({ ...adapterOptions, http: server })
      : new FastifyAdapter({ ...adapterOptions, https: { ...server, ...tlsServerOptions(config.server.tls, material, config.server.headersWithin) } });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(foundation), adapter, {
    logger: new NestLogger(foundation.logger),
    bodyParser: false,
    abortOnError: false,
  });
  await configureHttp(app);
  return app;
}

async function stop({ app, tls, resources, logger }: { app: NestFastifyApplication; tls: TlsServing | undefined; resources: Resources; logger: Logger }): Promise<void> {
  logger.info('the service is stopping');
  await tls?.stop();
  await app.close();
  await resources.close();
  logger.info('the service has stopped');
}
