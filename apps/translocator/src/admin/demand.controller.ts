import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { Clock } from '#clock';
import { type DemandEntry, DemandPage, DemandQuery, writeCursor } from '#contract';
import { type CountedDemand, DemandStore } from '#demand';
import { type Digest, isDigest } from '#oci';

import { AdminApi, markOf } from './admin-api.js';

const DemandMark = z.object({ region: z.string(), repository: z.string(), image: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)) });

/** What was pulled where. */
@AdminApi('demand', 'demand')
export class DemandController {
  constructor(
    private readonly demand: DemandStore,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The decayed count of pulls of each image in each region', description: 'Pulls of the last seconds are still on their way here.' })
  @ApiOkResponse({ standardSchema: DemandPage })
  async list(@Query({ schema: DemandQuery }) { cursor, limit, region, repository }: DemandQuery): Promise<z.infer<typeof DemandPage>> {
    const after = markOf(cursor, DemandMark);
    const query = { limit, ...(region === undefined ? {} : { region }), ...(repository === undefined ? {} : { repository }), ...(after === undefined ? {} : { after }) };
    const { counts, next } = await this.demand.list(query, this.clock.now());
    return { items: counts.map(toEntry), ...(next === undefined ? {} : { nextCursor: writeCursor({ region: next.region, repository: next.repository, image: next.image }) }) };
  }
}

function toEntry({ region, repository, image, weights, at }: CountedDemand): DemandEntry {
  return { region, repository, image, weight: weights[1], at: at.toISOString() };
}
