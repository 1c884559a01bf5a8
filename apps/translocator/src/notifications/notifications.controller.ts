import { Controller, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiBody, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { Clock } from '#clock';
import { NotificationTaken } from '#contract';
import { ExaminationStore, isRegistryEnvelope, parseRegistryEnvelope } from '#registry';
import { Metrics } from '#telemetry';

import { BearerGuard } from '../http/bearer.guard.js';
import { HttpProblem } from '../http/http-problem.js';
import { WorkSignals } from '../work/work-signals.js';

/** What a registry tells. Answered when it is stored, before any work is done on it. */
@ApiTags('notifications')
@ApiBearerAuth()
@UseGuards(BearerGuard('notify'))
@Controller('notifications')
export class NotificationsController {
  constructor(
    private readonly examinations: ExaminationStore,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly signals: WorkSignals,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Take registry events', description: 'The event envelope of the CNCF distribution registry. Repeated events are recognised by their ids; events that cannot be read are skipped and counted.' })
  @ApiConsumes('application/vnd.docker.distribution.events.v1+json', 'application/vnd.docker.distribution.events.v2+json')
  @ApiBody({ schema: { type: 'object', properties: { events: { type: 'array', items: { type: 'object' } } } } })
  @ApiAcceptedResponse({ description: 'Stored.', standardSchema: NotificationTaken })
  async take(@Req() request: FastifyRequest): Promise<NotificationTaken> {
    const contentType = request.headers['content-type'];
    if (!isRegistryEnvelope(contentType) || !Buffer.isBuffer(request.body)) {
      throw new HttpProblem(415, {
        code: 'CONTENT_TYPE_UNSUPPORTED',
        title: 'The content type is not supported',
        detail: `notifications come as application/vnd.docker.distribution.events.v1+json or v2+json, not as ${contentType ?? 'nothing'}`,
      });
    }
    const { events, skippedCount } = parseRegistryEnvelope(request.body);
    const { fresh, duplicateCount, wantedCount } = await this.examinations.intake(events, this.clock.now());
    this.metrics.notifications.inc({ outcome: 'accepted' }, fresh.length);
    this.metrics.notifications.inc({ outcome: 'repeated' }, duplicateCount);
    this.metrics.notifications.inc({ outcome: 'unreadable' }, skippedCount);
    if (wantedCount > 0) this.signals.examinationsWanted();
    return { accepted: fresh.length, repeated: duplicateCount, skipped: skippedCount };
  }
}
