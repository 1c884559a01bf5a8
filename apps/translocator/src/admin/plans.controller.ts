import { Body, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { DryRunBody, DryRunRequest, Id, PageQuery, PlanAsked, PlanBody, PlanComparisonBody, PlanList, PlanPage, RegionText, writeCursor } from '#contract';
import { comparePlans, PLAN_PAGE_MAX, Planner, type PlanCursor, PlanStore, type RegionPlan, type RehearsedChanges, type StoredPlan } from '#placement';
import { RegionMap, type RegionName } from '#regions';

import { HttpProblem } from '../http/http-problem.js';
import { Planning } from '../work/planning.js';
import { AdminApi, invalidField, markOf, notFound } from './admin-api.js';
import { PlanBodies } from './plan-bodies.js';

const PlanMark = z.object({ madeAt: z.iso.datetime(), id: Id });
/** How long whoever found a rehearsal under way should wait, in seconds. */
const REHEARSAL_RETRY_SECONDS = 5;

/** What should be where, and why. */
@AdminApi('plans', 'plans')
export class PlansController {
  readonly #bodies: PlanBodies;
  /** One at a time: each takes as long as two plans, in the process that plans. */
  #isRehearsing = false;

  constructor(
    private readonly plans: PlanStore,
    private readonly regions: RegionMap,
    private readonly planning: Planning,
    private readonly planner: Planner,
  ) {
    this.#bodies = new PlanBodies(regions);
  }

  @Get()
  @ApiOperation({ summary: 'The latest plan of every region, with the reason and the numbers of every decision' })
  @ApiOkResponse({ standardSchema: PlanList })
  async list(): Promise<{ items: PlanBody[] }> {
    const latest = await Promise.all(this.regions.regions.map(({ name }) => this.plans.latest(name)));
    return { items: latest.filter((plan) => plan !== undefined).map((plan) => this.#bodies.plan(plan)) };
  }

  @Get(':region')
  @ApiOperation({ summary: 'The latest plan of one region, or any plan by its id' })
  @ApiOkResponse({ standardSchema: PlanBody })
  async get(@Param('region', { schema: RegionText }) region: string): Promise<PlanBody> {
    const plan = this.regions.has(region) ? await this.plans.latest(region) : await this.plans.get(region);
    if (plan === undefined) throw notFound(`a plan of ${region}`);
    return this.#bodies.plan(plan);
  }

  @Get(':region/history')
  @ApiOperation({ summary: 'The plans that are kept of one region, the newest first', description: 'Plans after pushes that ordered nothing and decided as the one before are not kept.' })
  @ApiOkResponse({ standardSchema: PlanPage })
  async history(@Param('region', { schema: RegionText }) region: string, @Query({ schema: PageQuery }) { cursor, limit }: PageQuery): Promise<z.infer<typeof PlanPage>> {
    if (!this.regions.has(region)) throw notFound(`the region ${region}`);
    const mark = markOf(cursor, PlanMark);
    const before: PlanCursor | undefined = mark === undefined ? undefined : { madeAt: new Date(mark.madeAt), id: mark.id };
    const { plans, next } = await this.plans.history({ region, limit: Math.min(limit, PLAN_PAGE_MAX), ...(before === undefined ? {} : { before }) });
    return {
      items: plans.map((plan) => this.#bodies.summary(plan)),
      ...(next === undefined ? {} : { nextCursor: writeCursor({ madeAt: next.madeAt.toISOString(), id: next.id }) }),
    };
  }

  @Get(':before/compare/:after')
  @ApiOperation({ summary: 'What the second of two plans of one region does otherwise' })
  @ApiOkResponse({ standardSchema: PlanComparisonBody })
  async compare(@Param('before', { schema: Id }) before: string, @Param('after', { schema: Id }) after: string): Promise<PlanComparisonBody> {
    const [first, second] = [await this.#get(before), await this.#get(after)];
    if (first.region !== second.region) throw invalidField('/after', after, `must be a plan of the region ${first.region}, and is one of ${second.region}`);
    return this.#bodies.comparison(first.region, comparePlans(first, second));
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Plan every region now, instead of waiting for the clock' })
  @ApiAcceptedResponse({ description: 'A plan is being made.', standardSchema: PlanAsked })
  plan(): PlanAsked {
    this.planning.planSoon('operator');
    return { accepted: true };
  }

  @Post('dry-run')
  @HttpCode(200)
  @ApiOperation({ summary: 'What plans would be with other capacities, budgets or parameters', description: 'Of the facts of this instant; compared with the plan that they give as things are. Orders and keeps nothing. One at a time.' })
  @ApiOkResponse({ standardSchema: DryRunBody })
  async dryRun(@Body({ schema: DryRunRequest }) { regions, capacityBytes = {}, budgets = {}, parameters = {} }: DryRunRequest): Promise<DryRunBody> {
    regions?.forEach((region, n) => this.#requireRegion(`/regions/${n}`, region));
    for (const region of Object.keys(capacityBytes)) this.#requireRegion(`/capacityBytes/${region}`, region);
    const given = Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
    return this.#rehearse({ parameters: given, budgets, capacityBytes: new Map(Object.entries(capacityBytes)) }, new Set(regions ?? this.regions.regions.map(({ name }) => name)));
  }

  async #rehearse(changes: RehearsedChanges, regions: ReadonlySet<RegionName>): Promise<DryRunBody> {
    if (this.#isRehearsing) {
      throw new HttpProblem(503, { code: 'UNAVAILABLE', title: 'Not now', detail: 'another dry run is under way', headers: { 'retry-after': String(REHEARSAL_RETRY_SECONDS) } });
    }
    this.#isRehearsing = true;
    try {
      const rehearsed = await this.planner.rehearse(changes);
      const items = rehearsed.filter(({ region }) => regions.has(region)).map(({ region, asIs, changed, comparison }) => {
        const [before, after] = [sum(asIs.wants), sum(changed.wants)];
        return {
          ...this.#bodies.comparison(region, comparison),
          copyBytes: { before, after },
          copyUsd: { before: this.#bodies.copyUsd(region, before), after: this.#bodies.copyUsd(region, after) },
          drainBytes: { before: sum(asIs.drains), after: sum(changed.drains) },
          waitingImages: { before: waiting(asIs), after: waiting(changed) },
        };
      });
      return { at: rehearsed[0]!.at.toISOString(), items };
    } finally {
      this.#isRehearsing = false;
    }
  }

  async #get(id: string): Promise<StoredPlan> {
    const plan = await this.plans.get(id);
    if (plan === undefined) throw notFound(`the plan ${id}`);
    return plan;
  }

  #requireRegion(field: string, region: string): void {
    if (!this.regions.has(region)) throw invalidField(field, region, `must be a region of this deployment: ${this.regions.regions.map(({ name }) => name).join(', ')}`);
  }
}

function waiting({ decisions }: RegionPlan): number {
  return decisions.filter(({ waitsFor }) => waitsFor !== undefined).length;
}

function sum(replicas: readonly { readonly sizeBytes: number }[]): number {
  return replicas.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
}
