import { Body, Controller, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { LookupBody, MountAnswerBody, RewriteBody } from '#contract';
import { Lookup, type MountAnswer } from '#mounts';
import { Metrics } from '#telemetry';

import { BearerGuard } from '../http/bearer.guard.js';
import { callerOf } from '../http/callers.js';
import { uncovered } from '../http/service-gate.js';
import { clientHash, countAnswer } from './pull-telemetry.js';

/** What registries ask that have authorised a pull themselves. */
@ApiTags('pull')
@ApiBearerAuth()
@Controller('v1')
export class LookupController {
  constructor(
    private readonly lookup: Lookup,
    private readonly metrics: Metrics,
  ) {}

  @Post('lookup')
  @HttpCode(200)
  @UseGuards(BearerGuard('lookup'))
  @ApiOperation({ summary: 'Mounts and blobs of the layers of a manifest' })
  @ApiOkResponse({ standardSchema: MountAnswerBody })
  answer(@Body({ schema: LookupBody }) body: LookupBody, @Req() asked: FastifyRequest): MountAnswer {
    refuseUncovered(asked, body);
    const { client, ...request } = body;
    const answer = this.lookup.lookup(request, client === undefined ? {} : { client: clientHash(client) });
    countAnswer(this.metrics, answer);
    return answer;
  }

  @Post('rewrite')
  @HttpCode(200)
  @UseGuards(BearerGuard('rewrite'))
  @ApiOperation({ summary: 'A mount response with every source replaced by the nearest ready replica, or by the blob' })
  @ApiOkResponse({ standardSchema: MountAnswerBody })
  rewrite(@Body({ schema: RewriteBody }) body: RewriteBody, @Req() asked: FastifyRequest): MountAnswer {
    refuseUncovered(asked, { repository: body.response.repository, region: body.region });
    const answer = this.lookup.rewrite(body);
    countAnswer(this.metrics, answer);
    return answer;
  }
}

/** @throws {HttpProblem} when the caller's token is for other repositories or regions. */
function refuseUncovered(request: FastifyRequest, about: { readonly repository: string; readonly region?: string | undefined }): void {
  const problem = uncovered(callerOf(request), about);
  if (problem !== undefined) throw problem;
}
