import type { RegionMap } from '#regions';
import { LinkBudget, type LinkLedger, type LinkName } from '#replication';
import type { Metrics } from '#telemetry';

import type { WorkSurroundings } from './work-surroundings.js';

/** The budgets of the configuration. Counts what it lets through: every byte that copies move passes here. */
export class CountedLinkBudget extends LinkBudget {
  readonly #metrics: Metrics;

  constructor({ config, clock, metrics }: WorkSurroundings, regions: RegionMap, ledger: LinkLedger) {
    const limitsOf = ({ from, to }: LinkName) => ({
      bytesPerSecond: regions.link(from, to).throughputBytesPerSecond,
      bytesPerDay: config.replication.bytesPerLinkDay,
    });
    super(limitsOf, ledger, clock);
    this.#metrics = metrics;
  }

  override async take(link: LinkName, bytes: number, signal: AbortSignal): Promise<void> {
    await super.take(link, bytes, signal);
    this.#metrics.copiedBytes.inc({ from: link.from, to: link.to }, bytes);
  }
}
