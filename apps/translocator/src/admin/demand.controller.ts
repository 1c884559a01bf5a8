import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { Clock } from '#clock';
import { type DemandEntry, type DemandForecast, DemandPage, DemandQuery, FORECASTS_LISTED_MAX, writeCursor } from '#contract';
import { type CountedDemand, DemandStore } from '#demand';
import { type Digest, isDigest } from '#oci';

import { AdminApi, markOf } from './admin-api.js';
import { DemandForecasts } from './demand-forecasts.js';

const DemandMark = z.object({ region: z.string(), repository: z.string(), image: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)) });

/** What was pulled where, and what will be. */
@AdminApi('demand', 'demand')
export class DemandController {
  constructor(
    private readonly demand: DemandStore,
    private readonly forecasts: DemandForecasts,
    private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The decayed counts of pulls of each image in each region, and what is expected of it', description: 'Pulls of the last seconds are still on their way here.' })
  @ApiOkResponse({ standardSchema: DemandPage })
  async list(@Query({ schema: DemandQuery }) { cursor, limit, region, repository, forecast }: DemandQuery): Promise<z.infer<typeof DemandPage>> {
    const after = markOf(cursor, DemandMark);
    const isForetold = forecast === 'true';
    const query = { limit: isForetold ? Math.min(limit, FORECASTS_LISTED_MAX) : limit, ...(region === undefined ? {} : { region }), ...(repository === undefined ? {} : { repository }), ...(after === undefined ? {} : { after }) };
    const now = this.clock.now();
    const { counts, next } = await this.demand.list(query, now);
    const foretold = isForetold ? await this.forecasts.of(counts, now) : [];
    return { items: counts.map((counted, n) => toEntry(counted, foretold[n])), ...(next === undefined ? {} : { nextCursor: writeCursor({ region: next.region, repository: next.repository, image: next.image }) }) };
  }
}

function toEntry({ region, repository, image, weights, at }: CountedDemand, forecast: DemandForecast | undefined): DemandEntry {
  const [sixHours, threeDays, fourteenDays] = weights;
  return { region, repository, image, weight: threeDays, weights: { sixHours, threeDays, fourteenDays }, at: at.toISOString(), ...(forecast === undefined ? {} : { forecast }) };
}
