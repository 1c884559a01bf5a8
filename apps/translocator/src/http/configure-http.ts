import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import type { Config } from '#config';
import { KiB, MiB, MINUTE_MS, SECOND_MS } from '#quantities';
import { NOTIFICATION_BYTES_MAX } from '#registry';

import { TrailKeeper } from '../access/trail-keeper.js';
import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';
import { TOKEN_FORM, TOKEN_FORM_BYTES_MAX } from '../registry-api/token-routes.js';
import { limitBodyTime } from './body-deadline.js';
import { KnownMethods } from './known-methods.js';
import { refuseTwoFaced } from './plain-requests.js';
import { ProblemFilter } from './problem.filter.js';
import { SchemaPipe } from './schema-problem.js';

/** Headers of one request, their names and values, in bytes: a token of a registry has up to 16 KiB. */
const HEADERS_BYTES_MAX = 32 * KiB;

/** Bounds of every request: what a client may send, and how slowly. The times of headers and whole requests are settings; they are looked at every second. */
export const HTTP_LIMITS = {
  bodyLimit: 2 * MiB,
  keepAliveTimeout: MINUTE_MS,
  connectionTimeout: 2 * MINUTE_MS,
  routerOptions: { maxParamLength: 512, ignoreTrailingSlash: false },
  forceCloseConnections: 'idle',
} as const;

/** How the server below Fastify is made. */
export function serverLimits({ server, gateway }: Config): { readonly requestTimeout: number; readonly headersTimeout: number; readonly connectionsCheckingInterval: number; readonly maxHeaderSize: number } {
  // Uploads to the registry take as long as they keep coming; other bodies are limited by `limitBodyTime`.
  const requestTimeout = gateway.enabled ? 0 : server.requestWithin;
  return { requestTimeout, headersTimeout: Math.min(server.headersWithin, server.requestWithin), connectionsCheckingInterval: SECOND_MS, maxHeaderSize: HEADERS_BYTES_MAX };
}

/** The types under which registries send their event envelope. */
const ENVELOPE_TYPES = ['application/vnd.docker.distribution.events.v1+json', 'application/vnd.docker.distribution.events.v2+json'];

/** How many bytes the body of a request may have, by what it says that it is. */
function bodyBytesMax({ headers }: FastifyRequest): number {
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (ENVELOPE_TYPES.includes(type)) return NOTIFICATION_BYTES_MAX;
  return type === TOKEN_FORM ? TOKEN_FORM_BYTES_MAX : HTTP_LIMITS.bodyLimit;
}

/** Everything between the socket and the controllers: parsers, validation, errors, and the API's description. */
export async function configureHttp(app: NestFastifyApplication): Promise<void> {
  app.useBodyParser('application/json', { bodyLimit: HTTP_LIMITS.bodyLimit });
  app.useBodyParser(ENVELOPE_TYPES, { bodyLimit: NOTIFICATION_BYTES_MAX });
  // Nothing here takes plain text; with Fastify's own parser it would be told to be an object.
  app.getHttpAdapter().getInstance().removeContentTypeParser('text/plain');
  const trail = app.get(TrailKeeper);
  app.getHttpAdapter().getInstance().addHook('onRequest', refuseTwoFaced);
  new KnownMethods().attach(app.getHttpAdapter().getInstance());
  app.getHttpAdapter().getInstance().addHook('onSend', (request, reply) => trail.end(request, reply.statusCode));
  app.useGlobalPipes(new SchemaPipe());
  app.useGlobalFilters(new ProblemFilter(app.get(LOGGER), bodyBytesMax));
  const description = new DocumentBuilder()
    .setTitle('Translocator')
    .setDescription('Operators: /api/v1 (admin token). Registries: /v1 and /notifications. Nodes: /mount/v1.')
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth()
    .setOpenAPIVersion('3.1.0')
    .build();
  SwaggerModule.setup('api/docs', app, () => SwaggerModule.createDocument(app, description), { jsonDocumentUrl: 'api/openapi.json' });
  // In front of the framework, and behind the door for lookups, which looks after its own.
  limitBodyTime(app.getHttpServer(), app.get(Settings).config.server.requestWithin);
  await app.init();
}
