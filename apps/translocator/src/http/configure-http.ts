import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

import { MiB, MINUTE_MS, SECOND_MS } from '#quantities';
import { NOTIFICATION_BYTES_MAX } from '#registry';

import { TrailKeeper } from '../access/trail-keeper.js';
import { LOGGER } from '../foundation/tokens.js';
import { ProblemFilter } from './problem.filter.js';
import { SchemaPipe } from './schema-problem.js';

/** Bounds of every request: what a client may send, and how slowly. */
export const HTTP_LIMITS = {
  bodyLimit: 2 * MiB,
  requestTimeout: 30 * SECOND_MS,
  keepAliveTimeout: MINUTE_MS,
  connectionTimeout: 2 * MINUTE_MS,
  routerOptions: { maxParamLength: 512, ignoreTrailingSlash: false },
  forceCloseConnections: 'idle',
} as const;

/** The types under which registries send their event envelope. */
const ENVELOPE_TYPES = ['application/vnd.docker.distribution.events.v1+json', 'application/vnd.docker.distribution.events.v2+json'];

/** Everything between the socket and the controllers: parsers, validation, errors, and the API's description. */
export async function configureHttp(app: NestFastifyApplication): Promise<void> {
  app.useBodyParser('application/json', { bodyLimit: HTTP_LIMITS.bodyLimit });
  app.useBodyParser(ENVELOPE_TYPES, { bodyLimit: NOTIFICATION_BYTES_MAX });
  // Nothing here takes plain text; with Fastify's own parser it would be told to be an object.
  app.getHttpAdapter().getInstance().removeContentTypeParser('text/plain');
  const trail = app.get(TrailKeeper);
  app.getHttpAdapter().getInstance().addHook('onSend', (request, reply) => trail.end(request, reply.statusCode));
  app.useGlobalPipes(new SchemaPipe());
  app.useGlobalFilters(new ProblemFilter(app.get(LOGGER)));
  const description = new DocumentBuilder()
    .setTitle('Translocator')
    .setDescription('Operators: /api/v1 (admin token). Registries: /v1 and /notifications. Nodes: /mount/v1.')
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth()
    .setOpenAPIVersion('3.1.0')
    .build();
  SwaggerModule.setup('api/docs', app, () => SwaggerModule.createDocument(app, description), { jsonDocumentUrl: 'api/openapi.json' });
  await app.init();
}
