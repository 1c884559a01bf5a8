import { Body, Controller, Delete, HttpCode, Param, Put } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { Clock } from '#clock';
import { Id, LeaseBody, RenewalBody, RenewedBody } from '#contract';
import { LeaseBook } from '#mounts';

import { HttpProblem } from '../http/http-problem.js';

/** How nodes keep and end their holds. The id is the right: it was given with an answer, to whoever may pull. */
@ApiTags('pull')
@Controller('v1/leases')
export class LeaseController {
  constructor(
    private readonly leases: LeaseBook,
    private readonly clock: Clock,
  ) {}

  @Put()
  @ApiOperation({ summary: 'Renew many leases', description: 'Each by itself: those that cannot return have no `expiresAt`.' })
  @ApiOkResponse({ standardSchema: RenewedBody })
  async renewMany(@Body({ schema: RenewalBody }) { ids }: RenewalBody): Promise<RenewedBody> {
    const until = await this.leases.renewMany(ids, this.clock.now());
    return { leases: ids.map((id) => ({ id, expiresAt: until.get(id)?.toISOString() ?? null })) };
  }

  @Put(':id')
  @ApiOperation({ summary: 'Renew a lease', description: '404 when it has run out: it cannot return, ask for the mounts anew.' })
  @ApiOkResponse({ standardSchema: LeaseBody })
  async renew(@Param('id', { schema: Id }) id: string): Promise<LeaseBody> {
    const expiresAt = await this.leases.renew(id, this.clock.now());
    if (expiresAt === undefined) throw new HttpProblem(404, { code: 'LEASE_EXPIRED', title: 'Not found', detail: `the lease ${id} is unknown or has run out` });
    return { id, expiresAt: expiresAt.toISOString() };
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ summary: 'End a lease', description: 'Repeating it, or an unknown lease, changes nothing.' })
  @ApiNoContentResponse()
  async release(@Param('id', { schema: Id }) id: string): Promise<void> {
    await this.leases.release(id);
  }
}
