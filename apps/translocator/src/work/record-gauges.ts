import type { ExpandedLayerStore } from '#expansion';
import type { ReplicaStore } from '#replication';

import type { WorkSurroundings } from './work-surroundings.js';

/** Has the gauges of layers, replicas and shares read from the records whenever metrics are asked for. */
export function refreshRecordGauges({ config, metrics }: WorkSurroundings, layers: ExpandedLayerStore, replicas: ReplicaStore): void {
  metrics.beforeScrape(async () => {
    for (const [state, count] of Object.entries(await layers.countByState())) metrics.layers.set({ state }, count);
    const usage = await replicas.usage();
    metrics.replicas.reset();
    metrics.shareUsedBytes.reset();
    for (const { share, state, count, sizeBytes } of usage) {
      metrics.replicas.set({ region: share, state }, count);
      metrics.shareUsedBytes.inc({ region: share }, sizeBytes);
    }
    for (const { name, share } of config.regions.list) metrics.shareCapacityBytes.set({ region: name }, share.capacity);
  });
}
