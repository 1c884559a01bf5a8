import { expandLayer, expandWantedLayer, type ExpansionPorts, type LayerExpansion, type WantedLayer } from '#expansion';

import { LoopGroup } from './loop-group.js';
import { workLoop } from './work-loop.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** Expands wanted layers onto the home share. */
export function expansionLoops(surroundings: WorkSurroundings, tools: Omit<ExpansionPorts, 'expand' | 'clock'>): LoopGroup {
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
    work: (claimed, signal) => expandWantedLayer({ ...tools, expand, clock }, claimed, signal),
  });
  signals.on('layers', () => loop.nudge());
  return new LoopGroup([loop], config.server.shutdownGrace);
}
