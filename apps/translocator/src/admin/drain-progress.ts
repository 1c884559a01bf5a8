import { Injectable } from '@nestjs/common';

import { Clock } from '#clock';
import { GRACE_HOLDERS_MAX, type RegionDrainBody } from '#contract';
import { AnsweringProcesses, LeaseStore } from '#mounts';
import { SECOND_MS } from '#quantities';
import { type DrainLeft, type ShareDrain, ShareDrains } from '#replication';
import { ShareError } from '#shares';

import { ShareSet } from '../foundation/share-set.js';

/** How long the share is waited for when it is asked what is open there. */
const HANDLES_WITHIN_MS = 5 * SECOND_MS;

/** Reads how far the drain of a share is. */
@Injectable()
export class DrainProgressReader {
  constructor(
    private readonly drains: ShareDrains,
    private readonly leases: LeaseStore,
    private readonly answering: AnsweringProcesses,
    private readonly clock: Clock,
    private readonly shares: ShareSet,
  ) {}

  /** Undefined for a share that is not drained. */
  async read(share: string): Promise<RegionDrainBody | undefined> {
    const drain = (await this.drains.list()).find((each) => each.share === share);
    if (drain === undefined) return undefined;
    const [left, leases] = [await this.drains.left(share), await this.leases.countOn(share, this.clock.now())];
    const openHandles = await this.#openHandles(share);
    const { ready, last, ordered, draining, restingUntil } = left;
    const waitsFor = waitsOf(drain, left, { leases, openHandles });
    return {
      state: drain.state,
      reason: drain.reason,
      orderedBy: drain.orderedBy,
      since: drain.beganAt.toISOString(),
      ...(drain.drainedAt === undefined ? {} : { drainedAt: drain.drainedAt.toISOString() }),
      left: {
        replicas: { count: ready.count + ordered.count + draining.count, sizeBytes: ready.sizeBytes + ordered.sizeBytes + draining.sizeBytes },
        last, draining, leases,
        ...(openHandles === undefined ? {} : { openHandles }),
      },
      waitsFor,
      ...(restingUntil === undefined ? {} : { restingUntil: restingUntil.toISOString() }),
      ...(waitsFor.includes('grace') ? { graceHeldBy: await this.#graceHeldBy() } : {}),
    };
  }

  async #graceHeldBy(): Promise<NonNullable<RegionDrainBody['graceHeldBy']>> {
    const all = await this.answering.list(this.clock.now());
    const holding = all.flatMap(({ name, standing, heardAt }) => (standing === 'follows' ? [] : [{ process: name, standing, heardAt: heardAt.toISOString() }]));
    return holding.slice(0, GRACE_HOLDERS_MAX);
  }

  /** Undefined where the share does not answer, or not this. */
  async #openHandles(share: string): Promise<number | undefined> {
    const signal = AbortSignal.timeout(HANDLES_WITHIN_MS);
    try {
      return await this.shares.byName.get(share)?.openHandles('', signal);
    } catch (error) {
      if (error instanceof ShareError || signal.aborted) return undefined;
      throw error;
    }
  }
}

function waitsOf({ withoutRoom }: ShareDrain, { last, draining, restingUntil }: DrainLeft, { leases, openHandles = 0 }: { readonly leases: number; readonly openHandles: number | undefined }): RegionDrainBody['waitsFor'] {
  const waits: RegionDrainBody['waitsFor'] = [];
  if (withoutRoom > 0 && last.count > 0) waits.push('room');
  if (last.count > 0) waits.push('copies');
  if (draining.count > 0 && restingUntil !== undefined) waits.push('grace');
  if (draining.count > 0 && leases > 0) waits.push('leases');
  if (draining.count > 0 && openHandles > 0) waits.push('open-files');
  if (draining.count > 0) waits.push('removals');
  return waits;
}
