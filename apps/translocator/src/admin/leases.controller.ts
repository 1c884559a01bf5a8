import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { Clock } from '#clock';
import { Id, type LeaseEntry, LeasePage, LeaseQuery } from '#contract';
import { LeaseStore, type ListedLease } from '#mounts';

import { AdminApi, markOf, pageFrom } from './admin-api.js';

/** Who holds what. */
@AdminApi('leases', 'leases')
export class LeasesController {
  constructor(
    private readonly leases: LeaseStore,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Leases that hold, and what they hold', description: 'Those of the last second are still on their way here.' })
  @ApiOkResponse({ standardSchema: LeasePage })
  async list(@Query({ schema: LeaseQuery }) { cursor, limit, region, share, layer }: LeaseQuery): Promise<z.infer<typeof LeasePage>> {
    const filter = { ...(region === undefined ? {} : { region }), ...(share === undefined ? {} : { share }), ...(layer === undefined ? {} : { layer }) };
    const rows = await this.leases.page({ after: markOf(cursor, Id), limit: limit + 1, filter }, this.clock.now());
    return pageFrom(rows, limit, { entry: toEntry, mark: ({ id }) => id });
  }
}

function toEntry({ id, region, grantedAt, expiresAt, shared, renewable, replicas, replicaCount }: ListedLease): LeaseEntry {
  return { id, region, grantedAt: grantedAt.toISOString(), expiresAt: expiresAt.toISOString(), shared, renewable, replicas: [...replicas], replicaCount };
}
