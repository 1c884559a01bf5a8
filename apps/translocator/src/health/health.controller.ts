import { Controller, Get, Optional, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { DataSource } from 'typeorm';

import { SECOND_MS } from '#quantities';
import { Metrics } from '#telemetry';

import { MapFollowing } from '../pull/map-following.js';

/** How long the database may take to answer a health check. */
const DATABASE_ANSWER_MAX_MS = 2 * SECOND_MS;

/** What machines that run the service ask it about itself. */
@ApiTags('health')
@Controller()
export class HealthController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
    @Optional() private readonly map?: MapFollowing,
  ) {}

  @Get('livez')
  @ApiOperation({ summary: 'Whether the process answers at all' })
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  @ApiOperation({
    summary: 'Whether requests should be sent here',
    description: 'A lookup process is ready once its map has been loaded, whatever happens to the database later: it answers from memory. Other roles need the database.',
  })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<{ status: string; database: string; map: string }> {
    const database = await this.#databaseAnswers();
    const mapLoaded = this.map?.loaded;
    const ready = mapLoaded ?? database;
    if (!ready) reply.status(503);
    return { status: ready ? 'ok' : 'unavailable', database: database ? 'ok' : 'unavailable', map: mapLoaded === undefined ? 'none' : mapLoaded ? 'ok' : 'loading' };
  }

  @Get('metrics')
  @ApiOperation({ summary: 'Metrics in the Prometheus text format' })
  async prometheus(@Res() reply: FastifyReply): Promise<void> {
    const text = await this.metrics.text();
    void reply.type(this.metrics.registry.contentType).send(text);
  }

  async #databaseAnswers(): Promise<boolean> {
    const timeout = AbortSignal.timeout(DATABASE_ANSWER_MAX_MS);
    const tooLate = new Promise<boolean>((resolve) => timeout.addEventListener('abort', () => resolve(false), { once: true }));
    const answered = this.dataSource.query('SELECT 1').then(
      () => true,
      () => false,
    );
    return Promise.race([answered, tooLate]);
  }
}
