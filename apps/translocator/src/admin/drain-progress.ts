import { Injectable } from '@nestjs/common';

import { Clock } from '#clock';
import type { RegionDrainBody } from '#contract';
import { LeaseStore } from '#mounts';
import { type DrainLeft, type ShareDrain, ShareDrains } from '#replication';

/** Reads how far the drain of a share is. */
@Injectable()
export class DrainProgressReader {
  constructor(
    private readonly drains: ShareDrains,
    private readonly leases: LeaseStore,
    private readonly clock: Clock,
  ) {}

  /** Undefined for a share that is not drained. */
  async read(share: string): Promise<RegionDrainBody | undefined> {
    const drain = (await this.drains.list()).find((each) => each.share === share);
    if (drain === undefined) return undefined;
    const [left, leases] = [await this.drains.left(share), await this.leases.countOn(share, this.clock.now())];
    const { ready, last, ordered, draining, restingUntil } = left;
    return {
      state: drain.state,
      reason: drain.reason,
      orderedBy: drain.orderedBy,
      since: drain.beganAt.toISOString(),
      ...(drain.drainedAt === undefined ? {} : { drainedAt: drain.drainedAt.toISOString() }),
      left: {
        replicas: { count: ready.count + ordered.count + draining.count, sizeBytes: ready.sizeBytes + ordered.sizeBytes + draining.sizeBytes },
        last, draining, leases,
      },
      waitsFor: waitsOf(drain, left, leases),
      ...(restingUntil === undefined ? {} : { restingUntil: restingUntil.toISOString() }),
    };
  }
}

function waitsOf({ withoutRoom }: ShareDrain, { last, draining, restingUntil }: DrainLeft, leases: number): RegionDrainBody['waitsFor'] {
  const waits: RegionDrainBody['waitsFor'] = [];
  if (withoutRoom > 0 && last.count > 0) waits.push('room');
  if (last.count > 0) waits.push('copies');
  if (draining.count > 0 && restingUntil !== undefined) waits.push('grace');
  if (draining.count > 0 && leases > 0) waits.push('leases');
  if (draining.count > 0) waits.push('removals');
  return waits;
}
