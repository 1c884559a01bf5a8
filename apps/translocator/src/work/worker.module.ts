import { Module } from '@nestjs/common';

import { Clock } from '#clock';
import { RegionMap } from '#regions';
import { LinkBudget, LinkLedger } from '#replication';

import { Settings } from '../foundation/settings.js';
import { Copying } from './copying.js';
import { Expanding } from './expanding.js';

/** The role `worker`: expands layers, copies replicas and removes them. */
@Module({
  providers: [
    { provide: LinkBudget, useFactory: linkBudget, inject: [RegionMap, LinkLedger, Clock, Settings] },
    Expanding,
    Copying,
  ],
})
export class WorkerModule {}

function linkBudget(...[regions, ledger, clock, { config }]: [RegionMap, LinkLedger, Clock, Settings]): LinkBudget {
  const limitsOf = ({ from, to }: { readonly from: string; readonly to: string }) => ({
    bytesPerSecond: regions.link(from, to).throughputBytesPerSecond,
    bytesPerDay: config.replication.bytesPerLinkDay,
  });
  return new LinkBudget(limitsOf, ledger, clock);
}
