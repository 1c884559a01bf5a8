import {
  estimateExpandedBytes, type ExpandedLayer, expandLayer, expandView, expandWantedLayer, expandWantedView, type ExpansionPorts, isWantedView, type LayerExpansion, type ViewExpansion,
  type WantedLayer,
} from '#expansion';

import { LoopGroup } from './loop-group.js';
import type { StoredHomeReplicas } from './ports-between-rooms.js';
import { workLoop } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** What expanding takes. */
export type ExpansionTools = Omit<ExpansionPorts, 'expand' | 'clock' | 'replicas'> & { readonly replicas: StoredHomeReplicas };

/** Expands wanted layers, and merged views of those that are, onto the home share, as long as it has room for them; the others wait, and say why. */
export function expansionLoops(surroundings: WorkSurroundings, tools: ExpansionTools): LoopGroup {
  const { config, clock, metrics, signals } = surroundings;
  const { concurrency, claimLease, poll } = config.expansion;
  const counted = (expanded: ExpandedLayer): ExpandedLayer => {
    metrics.expandedBytes.inc(expanded.dataBytes);
    return expanded;
  };
  const expandOne = async (expansion: LayerExpansion): Promise<ExpandedLayer> => counted(await expandLayer(expansion));
  const mergeOne = async (expansion: ViewExpansion): Promise<ExpandedLayer> => counted(await expandView(expansion));
  const loop = workLoop<WantedLayer>(surroundings, {
    name: 'expand', source: tools.store, concurrency, leaseMs: claimLease, pollMs: poll,
    describe: ({ digest, repository, stacks }) => ({ [stacks === undefined ? 'layer' : 'view']: digest, repository }),
    work: async (claimed, signal) => {
      const { replicas, homeShare } = tools;
      if (isWantedView(claimed)) {
        const ensureRoom = (likelyBytes: number): Promise<void> => replicas.ensureRoom(homeShare, { layer: claimed.item.digest, likelyBytes });
        await expandWantedView({ ...tools, expand: mergeOne, clock, ensureRoom }, claimed, signal);
        return;
      }
      await replicas.ensureRoom(homeShare, { layer: claimed.item.digest, likelyBytes: estimateExpandedBytes(claimed.item) });
      await expandWantedLayer({ ...tools, expand: expandOne, clock }, claimed, signal);
      // It may be the last layer that a merged view waited for.
      signals.layersWanted();
    },
  });
  signals.on('layers', () => loop.nudge());
  return new LoopGroup([loop], config.server.shutdownGrace);
}
