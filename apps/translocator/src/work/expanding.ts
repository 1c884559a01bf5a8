import {
  estimateExpandedBytes, type ExpandedLayer, expandLayer, expandView, expandWantedLayer, expandWantedView, type ExpansionPorts, isWantedView, type LayerExpansion, type ViewExpansion,
  type WantedLayer,
} from '#expansion';

import { usageOf } from '#replication';
import { type FullShares, ShareError } from '#shares';

import { LoopGroup } from './loop-group.js';
import type { StoredHomeReplicas } from './ports-between-rooms.js';
import { workLoop, type WorkKind } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** What expanding takes. */
export type ExpansionTools = Omit<ExpansionPorts, 'expand' | 'clock' | 'replicas'> & { readonly replicas: StoredHomeReplicas; readonly full: FullShares };

/** Expands wanted layers, and merged views of those that are, onto the home share, as long as it has room for them; the others wait, and say why. */
export function expansionLoops(surroundings: WorkSurroundings, tools: ExpansionTools): LoopGroup {
  const { config, clock, logger, metrics, signals } = surroundings;
  const { concurrency, claimLease, poll } = config.expansion;
  const counted = (expanded: ExpandedLayer): ExpandedLayer => {
    metrics.expandedBytes.inc(expanded.dataBytes);
    return expanded;
  };
  const expandOne = async (expansion: LayerExpansion): Promise<ExpandedLayer> => counted(await expandLayer(expansion));
  const mergeOne = async (expansion: ViewExpansion): Promise<ExpandedLayer> => counted(await expandView(expansion));
  const { replicas, homeShare, full } = tools;
  const expandClaimed: WorkKind<WantedLayer>['work'] = async (claimed, signal) => {
    if (isWantedView(claimed)) {
      const ensureRoom = (likelyBytes: number): Promise<void> => replicas.ensureRoom(homeShare, { layer: claimed.item.digest, likelyBytes });
      await expandWantedView({ ...tools, expand: mergeOne, clock, ensureRoom }, claimed, signal);
      return;
    }
    await replicas.ensureRoom(homeShare, { layer: claimed.item.digest, likelyBytes: estimateExpandedBytes(claimed.item) });
    await expandWantedLayer({ ...tools, expand: expandOne, clock }, claimed, signal);
    // It may be the last layer that a merged view waited for.
    signals.layersWanted();
  };
  const loop = workLoop<WantedLayer>(surroundings, {
    name: 'expand', source: tools.store, concurrency, leaseMs: claimLease, pollMs: poll,
    describe: ({ digest, repository, stacks }) => ({ [stacks === undefined ? 'layer' : 'view']: digest, repository }),
    work: async (claimed, signal) => {
      await ensureNotFull(surroundings, tools);
      try {
        await expandClaimed(claimed, signal);
      } catch (error) {
        if (error instanceof ShareError && error.code === 'SHARE_FULL' && !error.transient) full.note(homeShare.name, await usageOf(homeShare, signal), clock.now());
        throw error;
      } finally {
        await replicas.endRoom(homeShare, claimed.item.digest).catch((error: unknown) => logger.warn({ error }, 'room stays reserved until it is over by itself'));
      }
    },
  });
  signals.on('layers', () => loop.nudge());
  return new LoopGroup([loop], config.server.shutdownGrace);
}

/** @throws {ShareError} `SHARE_FULL`, transient, while the home share is spared because it turned out full. */
async function ensureNotFull({ clock }: WorkSurroundings, { full, homeShare }: ExpansionTools): Promise<void> {
  const until = full.pausedUntil(homeShare.name, clock.now());
  if (until === undefined) return;
  throw new ShareError('SHARE_FULL', `${homeShare.name} is full; it is tried again at ${until.toISOString()}`, { transient: true, details: { share: homeShare.name, until } });
}
