import type { Clock } from '#clock';

import type { ReplicaOrder } from './admit-orders.js';
import type { Replica } from './replica.js';
import type { DrainOrder, ReplicaStore, ShareCapacity } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { ShareDrain, ShareDrains } from './share-drains.js';

/** Replicas that are read at once. */
const PAGE_REPLICAS = 200;
/** How urgent the copy is of what would be lost otherwise: before all that plans order. */
export const LAST_COPY_PRIORITY = 1e9;

/** What {@link drainShare} works with. */
export interface DrainSharePorts {
  readonly store: ReplicaStore;
  readonly drains: ShareDrains;
  /** Where that goes which no other share has. */
  readonly home: ShareCapacity;
  readonly clock: Clock;
  /** As in {@link DrainOrder}. */
  readonly graceMs: number;
}

/** What one look at a share that is drained has come to. */
export interface DrainShareReport {
  /** Orders that were taken back. */
  readonly cancelled: number;
  /** Replicas that were taken out of the answers. */
  readonly drained: number;
  /** Replicas that stay until they have been copied away. */
  readonly last: number;
  /** Those of them that home has no room for. */
  readonly withoutRoom: number;
  /** `going`: there is something left; `drained`: nothing is, as of this look; `ended`: the drain was ended meanwhile. */
  readonly outcome: 'going' | 'drained' | 'ended';
}

/**
 * Does for a share that is drained what can be done now: takes back what is ordered, takes what is ready out of the answers, has copied home first what no other share has, and notes when nothing
 * is left. To be repeated until then, by any process and by several at once: each step is done once and holds. Files go as those of all draining replicas do, after leases and grace.
 * Cost: one statement for each replica that is not draining yet, and a few besides.
 */
export async function drainShare(ports: DrainSharePorts, drain: ShareDrain, signal: AbortSignal): Promise<DrainShareReport> {
  const report = { cancelled: 0, drained: 0, last: 0, withoutRoom: 0 };
  try {
    for (const state of ['wanted', 'copying'] as const) {
      for await (const page of pagesOf(ports.store, drain.share, state, signal)) {
        for (const replica of page) if ((await ports.store.cancel(replica, orderOf(ports, drain))) !== 'NOT_OPEN') report.cancelled += 1;
      }
    }
    for await (const page of pagesOf(ports.store, drain.share, 'ready', signal)) {
      const last: Replica[] = [];
      for (const replica of page) {
        const outcome = await ports.store.drain(replica, orderOf(ports, drain));
        if (outcome === 'draining') report.drained += 1;
        if (outcome === 'LAST_REPLICA') last.push(replica);
      }
      report.last += last.length;
      report.withoutRoom += await copyHome(ports, drain, last);
    }
    await ports.drains.noteWithoutRoom(drain, report.withoutRoom);
    return { ...report, outcome: (await ports.drains.finish(drain)) ? 'drained' : 'going' };
  } catch (error) {
    if (error instanceof ReplicationError && error.code === 'DRAIN_ENDED') return { ...report, outcome: 'ended' };
    throw error;
  }
}

/** Orders at home what nothing else has. @returns how much of it home has no room for. */
async function copyHome({ store, drains, home, clock }: DrainSharePorts, drain: ShareDrain, last: readonly Replica[]): Promise<number> {
  if (last.length === 0) return 0;
  const orders = last.map(({ layer, sizeBytes }): ReplicaOrder => ({ layer, sizeBytes, priority: LAST_COPY_PRIORITY, reason: `only ${drain.share} has it, which is drained` }));
  const outcomes = await store.want(home, orders, clock.now(), drains.fence(drain));
  return outcomes.filter((outcome) => outcome === 'SHARE_FULL').length;
}

function orderOf({ drains, clock, graceMs }: DrainSharePorts, drain: ShareDrain): DrainOrder {
  return { reason: `${drain.share} is drained: ${drain.reason}`, now: clock.now(), graceMs, fence: drains.fence(drain) };
}

async function* pagesOf(store: ReplicaStore, share: string, state: Replica['state'], signal: AbortSignal): AsyncGenerator<readonly Replica[]> {
  let after: Replica | undefined;
  for (;;) {
    signal.throwIfAborted();
    const page = await store.page(after, PAGE_REPLICAS, { share, state });
    if (page.length > 0) yield page;
    if (page.length < PAGE_REPLICAS) return;
    after = page.at(-1);
  }
}
