import 'reflect-metadata';

import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { DestinationStream } from 'pino';

import { type Clock, SystemClock } from '#clock';
import { createLogger, type Logger } from '#telemetry';

import { AppModule } from './app.module.js';
import { openResources, type Resources } from './foundation/resources.js';
import type { Settings } from './foundation/settings.js';
import { configureHttp, HTTP_LIMITS } from './http/configure-http.js';
import { refuseUnreadable } from './http/problem.filter.js';
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
  const resources = await openResources(settings, clock);
  let app: NestFastifyApplication | undefined;
  try {
    app = await createApp({ settings, clock, logger, resources });
    await app.listen({ host: settings.config.server.host, port: settings.config.server.port });
  } catch (error) {
    await app?.close();
    await resources.close();
    throw error;
  }
  const started = app;
  const url = (await started.getUrl()).replace('[::1]', 'localhost');
  logger.info({ url, roles: settings.config.roles }, 'the service has started');
  let stopping: Promise<void> | undefined;
  return {
    url,
    resources,
    failed: resources.failed,
    stop: () => (stopping ??= stop(started, resources, logger)),
  };
}

async function createApp(foundation: { settings: Settings; clock: Clock; logger: Logger; resources: Resources }): Promise<NestFastifyApplication> {
  const adapterOptions = { ...HTTP_LIMITS, frameworkErrors: refuseUnreadable, trustProxy: foundation.settings.config.server.trustedProxies };
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(foundation), new FastifyAdapter(adapterOptions), {
    logger: new NestLogger(foundation.logger),
    bodyParser: false,
    abortOnError: false,
  });
  await configureHttp(app);
  return app;
}

async function stop(app: NestFastifyApplication, resources: Resources, logger: Logger): Promise<void> {
  logger.info('the service is stopping');
  await app.close();
  await resources.close();
  logger.info('the service has stopped');
}
