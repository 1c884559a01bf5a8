import { Body, Controller, HttpCode, Inject, Post, Req, UseGuards } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { Clock } from '#clock';
import { ShareReportBody } from '#contract';
import { ShareHealth } from '#mounts';
import type { Logger } from '#telemetry';

import { LOGGER } from '../foundation/tokens.js';
import { BearerGuard } from '../http/bearer.guard.js';
import { HttpProblem } from '../http/http-problem.js';

/** What clients say of the shares that they were given. They are told apart by their addresses, which they cannot choose. */
@ApiTags('pull')
@ApiBearerAuth()
@Controller('v1/reports')
export class ReportController {
  constructor(
    private readonly health: ShareHealth,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Post()
  @HttpCode(202)
  @UseGuards(BearerGuard('leases'))
  @ApiOperation({ summary: 'Report a mount that failed', description: 'A share that several clients report within a minute is not given for two. One client alone changes nothing.' })
  @ApiAcceptedResponse()
  report(@Body({ schema: ShareReportBody }) { region, type, problem }: ShareReportBody, @Req() { ip }: FastifyRequest): void {
    const outcome = this.health.reported(region, ip, this.clock.now());
    if (outcome === 'too-many') throw new HttpProblem(429, { code: 'TOO_MANY_REQUESTS', title: 'Too many requests', detail: 'this address has sent too many reports in this minute' });
    if (outcome === 'counted') this.logger.info({ region, type, problem, reporter: ip }, 'a client could not use a share');
  }
}
