import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';

import { type RegionEntry, RegionPage, type ShareEntry, SharePage } from '#contract';
import { RegionMap } from '#regions';
import { ReplicaStore } from '#replication';

import { ShareSet } from '../foundation/share-set.js';
import { AdminApi } from './admin-api.js';

/** Where layers can be, and how full it is there. */
@AdminApi('', 'regions and shares')
export class RegionsController {
  constructor(
    private readonly regions: RegionMap,
    private readonly shares: ShareSet,
    private readonly replicas: ReplicaStore,
  ) {}

  @Get('regions')
  @ApiOperation({ summary: 'All regions, with the links between them' })
  @ApiOkResponse({ standardSchema: RegionPage })
  listRegions(): { items: RegionEntry[] } {
    const { regions } = this.regions;
    return {
      items: regions.map(({ name, displayName }) => ({
        name,
        displayName,
        home: name === this.regions.home,
        shares: [...this.shares.byName.values()].filter((share) => share.region === name).map((share) => share.name),
        links: this.regions
          .byNearness(name, regions.map((region) => region.name).filter((other) => other !== name))
          .map((to) => this.regions.link(name, to))
          .map(({ to, roundTripMs, throughputBytesPerSecond, pricePerGb }) => ({ to, roundTripMs, throughputBytesPerSecond, pricePerGb })),
      })),
    };
  }

  @Get('shares')
  @ApiOperation({ summary: 'All shares: capacity, what is there, and what is on its way' })
  @ApiOkResponse({ standardSchema: SharePage })
  async listShares(): Promise<{ items: ShareEntry[] }> {
    const usage = await this.replicas.usage();
    return {
      items: [...this.shares.byName.values()].map(({ name, region, capacityBytes }) => {
        const here = usage.filter((each) => each.share === name);
        const bytes = (...states: string[]): number => here.filter((each) => states.includes(each.state)).reduce((sum, each) => sum + each.sizeBytes, 0);
        const count = (state: string): number => here.find((each) => each.state === state)?.count ?? 0;
        return {
          name, region, capacityBytes,
          usedBytes: bytes('ready', 'draining'),
          reservedBytes: bytes('wanted', 'copying'),
          replicas: { wanted: count('wanted'), copying: count('copying'), ready: count('ready'), draining: count('draining') },
        };
      }),
    };
  }
}
