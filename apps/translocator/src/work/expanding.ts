import { expandLayer, expandWantedLayer, type ExpansionPorts, type LayerExpansion, type WantedLayer } from '#expansion';

import { LoopGroup } from './loop-group.js';
import type { StoredHomeReplicas } from './ports-between-rooms.js';
import { workLoop } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** What expanding takes. */
export type ExpansionTools = Omit<ExpansionPorts, 'expand' | 'clock' | 'replicas'> & { readonly replicas: StoredHomeReplicas };

/** Expands wanted layers onto the home share, as long as it has room for them; the others wait, and say why. */
export function expansionLoops(surroundings: WorkSurroundings, tools: ExpansionTools): LoopGroup {
  const { config, clock, metrics, signals } = surroundings;
  const { concurrency, claimLease, poll } = config.expansion;
  const expand = async (expansion: LayerExpansion): ReturnType<typeof expandLayer> => {
    const expanded = await expandLayer(expansion);
    metrics.expandedBytes.inc(expanded.dataBytes);
    return expanded;
  };
  const loop = workLoop<WantedLayer>(surroundings, {
    name: 'expand', source: tools.store, concurrency, leaseMs: claimLease, pollMs: poll,
    describe: ({ digest, repository }) => ({ layer: digest, repository }),
    work: async (claimed, signal) => {
      await tools.replicas.ensureRoom(tools.homeShare, claimed.item);
      await expandWantedLayer({ ...tools, expand, clock }, claimed, signal);
    },
  });
  signals.on('layers', () => loop.nudge());
  return new LoopGroup([loop], config.server.shutdownGrace);
}
