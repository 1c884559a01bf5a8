import { Module } from '@nestjs/common';

import { Clock } from '#clock';
import { RegionMap } from '#regions';
import { LinkBudget, LinkLedger, type LinkName } from '#replication';
import { Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { Copying } from './copying.js';
import { Expanding } from './expanding.js';

/** The role `worker`: expands layers, copies replicas and removes them. */
@Module({
  providers: [
    { provide: LinkBudget, useFactory: linkBudget, inject: [RegionMap, LinkLedger, Clock, Settings, Metrics] },
    Expanding,
    Copying,
  ],
})
export class WorkerModule {}

/** Counts what it lets through: every byte that copies move passes here. */
class CountedLinkBudget extends LinkBudget {
  constructor(
    private readonly metrics: Metrics,
    ...rest: ConstructorParameters<typeof LinkBudget>
  ) {
    super(...rest);
  }

  override async take(link: LinkName, bytes: number, signal: AbortSignal): Promise<void> {
    await super.take(link, bytes, signal);
    this.metrics.copiedBytes.inc({ from: link.from, to: link.to }, bytes);
  }
}

function linkBudget(...[regions, ledger, clock, { config }, metrics]: [RegionMap, LinkLedger, Clock, Settings, Metrics]): LinkBudget {
  const limitsOf = ({ from, to }: LinkName) => ({
    bytesPerSecond: regions.link(from, to).throughputBytesPerSecond,
    bytesPerDay: config.replication.bytesPerLinkDay,
  });
  return new CountedLinkBudget(metrics, limitsOf, ledger, clock);
}
