import { Body, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiConflictResponse, ApiNotFoundResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { Problem, RegionDrainRequest, type RegionEntry, RegionPage, RegionStatus, RegionText, type ShareEntry, SharePage } from '#contract';
import { RegionMap, type RegionName } from '#regions';
import { ReplicaStore, type ReplicaUsage, ShareDrains } from '#replication';

import { ShareSet } from '../foundation/share-set.js';
import { callerOf } from '../http/callers.js';
import { HttpProblem } from '../http/http-problem.js';
import { Planning } from '../work/planning.js';
import { AdminApi, notFound } from './admin-api.js';
import { DrainProgressReader } from './drain-progress.js';

/** Where layers can be, and how full it is there. */
@AdminApi('', 'regions and shares')
export class RegionsController {
  constructor(
    private readonly regions: RegionMap,
    private readonly shares: ShareSet,
    private readonly replicas: ReplicaStore,
    private readonly drains: ShareDrains,
    private readonly progress: DrainProgressReader,
    private readonly planning: Planning,
  ) {}

  @Get('regions')
  @ApiOperation({ summary: 'All regions, with the links between them' })
  @ApiOkResponse({ standardSchema: RegionPage })
  listRegions(): { items: RegionEntry[] } {
    return { items: this.regions.regions.map(({ name }) => this.#entry(name)) };
  }

  @Get('regions/:region')
  @ApiOperation({ summary: 'A region, what it holds, and how far its drain is' })
  @ApiOkResponse({ standardSchema: RegionStatus })
  @ApiNotFoundResponse({ description: 'This deployment has no such region.', standardSchema: Problem })
  async get(@Param('region', { schema: RegionText }) region: string): Promise<RegionStatus> {
    const share = this.#shareOf(region);
    const here = (await this.replicas.usage()).filter((each) => each.share === share);
    const drain = await this.progress.read(share);
    return { ...this.#entry(region), replicas: countsOf(here), usedBytes: bytesOf(here, 'ready', 'draining'), ...(drain === undefined ? {} : { drain }) };
  }

  @Post('regions/:region/drain')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Empty a region',
    description: 'Nothing new goes there, nodes are not given it any more, what only it has is copied home, and files go when nobody holds them. It goes on through restarts until undrained. Repeating it changes nothing.',
  })
  @ApiAcceptedResponse({ description: 'It is drained.', standardSchema: RegionStatus })
  @ApiNotFoundResponse({ description: 'This deployment has no such region.', standardSchema: Problem })
  @ApiConflictResponse({ description: 'The home region cannot be drained.', standardSchema: Problem })
  async drain(@Param('region', { schema: RegionText }) region: string, @Body({ schema: RegionDrainRequest }) { reason }: RegionDrainRequest, @Req() request: FastifyRequest): Promise<RegionStatus> {
    const share = this.#shareOf(region);
    if (region === this.regions.home) {
      throw new HttpProblem(409, { code: 'HOME_REGION', title: 'The home region cannot be drained', detail: `${region} is the home region: pushes are expanded there, and all other regions are copied from it` });
    }
    await this.drains.begin({ share, reason, orderedBy: callerOf(request).actor });
    return this.get(region);
  }

  @Post('regions/:region/undrain')
  @HttpCode(200)
  @ApiOperation({ summary: 'Use a region again', description: 'Also in the middle of its drain: what has not been deleted yet can be ready again at once, and plans fill it. Repeating it changes nothing.' })
  @ApiOkResponse({ standardSchema: RegionStatus })
  @ApiNotFoundResponse({ description: 'This deployment has no such region.', standardSchema: Problem })
  async undrain(@Param('region', { schema: RegionText }) region: string): Promise<RegionStatus> {
    if (await this.drains.end(this.#shareOf(region))) this.planning.planSoon('operator');
    return this.get(region);
  }

  @Get('shares')
  @ApiOperation({ summary: 'All shares: capacity, what is there, and what is on its way' })
  @ApiOkResponse({ standardSchema: SharePage })
  async listShares(): Promise<{ items: ShareEntry[] }> {
    const usage = await this.replicas.usage();
    return {
      items: [...this.shares.byName.values()].map(({ name, region, capacityBytes }) => {
        const here = usage.filter((each) => each.share === name);
        return {
          name, region, capacityBytes,
          usedBytes: bytesOf(here, 'ready', 'draining'),
          reservedBytes: bytesOf(here, 'wanted', 'copying'),
          replicas: countsOf(here),
        };
      }),
    };
  }

  #shareOf(region: string): string {
    const share = this.shares.inRegion(region);
    if (share === undefined) throw notFound(`the region ${region}`);
    return share.name;
  }

  #entry(name: RegionName): RegionEntry {
    const { regions, home } = this.regions;
    return {
      name,
      displayName: regions.find((region) => region.name === name)?.displayName ?? name,
      home: name === home,
      shares: [...this.shares.byName.values()].filter((share) => share.region === name).map((share) => share.name),
      links: this.regions
        .byNearness(name, regions.map((region) => region.name).filter((other) => other !== name))
        .map((to) => this.regions.link(name, to))
        .map(({ to, roundTripMs, throughputBytesPerSecond, pricePerGb }) => ({ to, roundTripMs, throughputBytesPerSecond, pricePerGb })),
    };
  }
}

function bytesOf(usage: readonly ReplicaUsage[], ...states: ReplicaUsage['state'][]): number {
  return usage.filter((each) => states.includes(each.state)).reduce((sum, each) => sum + each.sizeBytes, 0);
}

function countsOf(usage: readonly ReplicaUsage[]): RegionStatus['replicas'] {
  const count = (state: ReplicaUsage['state']): number => usage.find((each) => each.state === state)?.count ?? 0;
  return { wanted: count('wanted'), copying: count('copying'), ready: count('ready'), draining: count('draining') };
}
