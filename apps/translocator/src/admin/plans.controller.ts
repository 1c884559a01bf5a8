import { Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';

import { PlanAsked, PlanBody, PlanList, RegionText } from '#contract';
import { PlanStore, type StoredPlan } from '#placement';
import { RegionMap } from '#regions';

import { Planning } from '../work/planning.js';
import { AdminApi, notFound } from './admin-api.js';

/** What should be where, and why. */
@AdminApi('plans', 'plans')
export class PlansController {
  constructor(
    private readonly plans: PlanStore,
    private readonly regions: RegionMap,
    private readonly planning: Planning,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The latest plan of every region, with the reason and the numbers of every decision' })
  @ApiOkResponse({ standardSchema: PlanList })
  async list(): Promise<{ items: PlanBody[] }> {
    const latest = await Promise.all(this.regions.regions.map(({ name }) => this.plans.latest(name)));
    return { items: latest.filter((plan) => plan !== undefined).map(toBody) };
  }

  @Get(':region')
  @ApiOperation({ summary: 'The latest plan of one region' })
  @ApiOkResponse({ standardSchema: PlanBody })
  async get(@Param('region', { schema: RegionText }) region: string): Promise<PlanBody> {
    const plan = this.regions.has(region) ? await this.plans.latest(region) : undefined;
    if (plan === undefined) throw notFound(`a plan of ${region}`);
    return toBody(plan);
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Plan every region now, instead of waiting for the clock' })
  @ApiAcceptedResponse({ description: 'A plan is being made.', standardSchema: PlanAsked })
  plan(): PlanAsked {
    this.planning.planSoon('operator');
    return { accepted: true };
  }
}

function toBody({ region, madeAt, trigger, capacityBytes, usedBytes, forcedBytes, drainingBytes, counts, decisions, decisionsOmittedCount, unresolvedPins }: StoredPlan): PlanBody {
  return {
    region,
    plannedAt: madeAt.toISOString(),
    trigger,
    capacityBytes, usedBytes, forcedBytes, drainingBytes, counts,
    decisions: [...decisions],
    decisionsOmittedCount,
    unresolvedPins: [...unresolvedPins],
  };
}
