import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { LookupBody, MountAnswerBody, RewriteBody } from '#contract';
import { Lookup, type MountAnswer } from '#mounts';
import { Metrics } from '#telemetry';

import { BearerGuard } from '../http/bearer.guard.js';
import { clientHash, countAnswer } from './pull-telemetry.js';

/** What registries ask that have authorised a pull themselves. */
@ApiTags('pull')
@ApiBearerAuth()
@UseGuards(BearerGuard('service'))
@Controller('v1')
export class LookupController {
  constructor(
    private readonly lookup: Lookup,
    private readonly metrics: Metrics,
  ) {}

  @Post('lookup')
  @HttpCode(200)
  @ApiOperation({ summary: 'Mounts and blobs of the layers of a manifest' })
  @ApiOkResponse({ standardSchema: MountAnswerBody })
  answer(@Body({ schema: LookupBody }) body: LookupBody): MountAnswer {
    const { client, ...request } = body;
    const answer = this.lookup.lookup(request, client === undefined ? {} : { client: clientHash(client) });
    countAnswer(this.metrics, answer);
    return answer;
  }

  @Post('rewrite')
  @HttpCode(200)
  @ApiOperation({ summary: 'A mount response with every source replaced by the nearest ready replica, or by the blob' })
  @ApiOkResponse({ standardSchema: MountAnswerBody })
  rewrite(@Body({ schema: RewriteBody }) body: RewriteBody): MountAnswer {
    const answer = this.lookup.rewrite(body);
    countAnswer(this.metrics, answer);
    return answer;
  }
}
