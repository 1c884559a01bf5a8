import { copyUnlessFull, type CopyUnlessFullPorts, FanOut, type ForcedDrain, type OpenReplica, type RemovalPorts, removeReplica, type Replica, type ReplicaCopy, type SuspectRelay } from '#replication';

import { LoopGroup } from './loop-group.js';
import { workLoop } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** What copying and removing take. */
export type ReplicationTools = Omit<CopyUnlessFullPorts & RemovalPorts, 'clock' | 'pieceConcurrency' | 'fanOut' | 'onSuspect' | 'drainMaxMs' | 'onForced' | 'forceClose' | 'onOpen'>;

/** Makes wanted replicas and removes drained ones. */
export function replicationLoops(surroundings: WorkSurroundings, tools: ReplicationTools): LoopGroup {
  const { config, clock, signals, logger, metrics } = surroundings;
  const { concurrency, piecesInFlight, claimLease, poll } = config.replication;
  const shared = { concurrency, leaseMs: claimLease, pollMs: poll, describe: ({ layer, share }: Replica) => ({ layer, share }) };
  const fanOut = new FanOut(tools.regions, clock);
  const onSuspect = (suspect: SuspectRelay): void => logger.warn({ ...suspect }, 'a share gave wrong bytes of a replica that was copied right');
  const onForced = (forced: ForcedDrain): void => {
    metrics.drainsForced.inc({ region: tools.shares.get(forced.share)?.region ?? '' });
    logger.warn({ ...forced }, 'a replica has drained for longer than leases.drainMax: the leases on it run out');
  };
  const onOpen = (open: OpenReplica): void => {
    metrics.drainsOpen.inc({ region: tools.shares.get(open.share)?.region ?? '', outcome: open.closed ? 'closed' : 'waited' });
    logger.warn({ ...open }, open.closed ? 'a replica has drained for longer than leases.drainMax: what clients had open was closed' : 'clients have a replica open that is to be removed');
  };
  const copies = workLoop<ReplicaCopy>(surroundings, {
    name: 'copy', source: tools.store.copies, ...shared,
    work: (claimed, signal) => copyUnlessFull({ ...tools, clock, pieceConcurrency: piecesInFlight, fanOut, onSuspect }, claimed, signal),
  });
  const removals = workLoop<Replica>(surroundings, {
    name: 'remove', source: tools.store.removals, ...shared,
    work: (claimed, signal) => removeReplica({ ...tools, clock, drainMaxMs: config.leases.drainMax, forceClose: config.leases.forceClose, onForced, onOpen }, claimed, signal),
  });
  signals.on('replicas', () => {
    copies.nudge();
    removals.nudge();
  });
  return new LoopGroup([copies, removals], config.server.shutdownGrace);
}
