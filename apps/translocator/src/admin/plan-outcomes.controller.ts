import { Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { z } from 'zod';

import { Clock } from '#clock';
import { OUTCOMES_MAX, PlanOutcomeBody, PlanOutcomeList, RegionText } from '#contract';
import { ForecastLedger, ForecastOutcomes, type PlanOutcome } from '#placement';
import { RegionMap } from '#regions';

import { AdminApi, notFound } from './admin-api.js';

/** What plans expected, and what came. */
@AdminApi('plans', 'plans')
export class PlanOutcomesController {
  constructor(
    private readonly ledger: ForecastLedger,
    private readonly outcomes: ForecastOutcomes,
    private readonly regions: RegionMap,
    private readonly clock: Clock,
  ) {}

  @Get(':region/outcome')
  @ApiOperation({ summary: 'What a plan expected of its images and what came: by its id, or the last one that is followed of a region', description: 'Of each region one plan a day is followed, the first that was not made for a push, and each that was made because demand was off its forecast.' })
  @ApiOkResponse({ standardSchema: PlanOutcomeBody })
  async outcome(@Param('region', { schema: RegionText }) region: string): Promise<PlanOutcomeBody> {
    const planId = this.regions.has(region) ? (await this.ledger.list(region, 1))[0] : region;
    const found = planId === undefined ? undefined : await this.outcomes.of(planId, this.clock.now());
    if (found === undefined) throw notFound(`a plan of ${region} that is followed`);
    return { ...summaryOf(found), images: [...found.images] };
  }

  @Get(':region/outcomes')
  @ApiOperation({ summary: 'What came of the forecasts of a region\'s last plans that are followed, the newest first' })
  @ApiOkResponse({ standardSchema: PlanOutcomeList })
  async list(@Param('region', { schema: RegionText }) region: string): Promise<z.infer<typeof PlanOutcomeList>> {
    if (!this.regions.has(region)) throw notFound(`the region ${region}`);
    const items: z.infer<typeof PlanOutcomeList>['items'] = [];
    for (const planId of await this.ledger.list(region, OUTCOMES_MAX)) {
      const found = await this.outcomes.of(planId, this.clock.now());
      if (found !== undefined) items.push(summaryOf(found));
    }
    return { items };
  }
}

function summaryOf({ planId, region, madeAt, until, passedRatio, expectedSoFar, pulls, deviations, weightedError }: PlanOutcome): Omit<PlanOutcomeBody, 'images'> {
  return { planId, region, plannedAt: madeAt.toISOString(), until: until.toISOString(), passedRatio, expectedSoFar, pulls, deviations, ...(weightedError === undefined ? {} : { weightedError }) };
}
