import type { ExpandedLayerStore } from '#expansion';
import { ANSWERING_STANDINGS, type AnsweringProcesses } from '#mounts';
import type { ReplicaStore } from '#replication';

import type { WorkSurroundings } from './work-surroundings.js';

/** Has the gauges of layers, replicas, shares and of who answers read from the records whenever metrics are asked for. */
export function refreshRecordGauges({ clock, config, metrics }: WorkSurroundings, { layers, replicas, answering }: { readonly layers: ExpandedLayerStore; readonly replicas: ReplicaStore; readonly answering: AnsweringProcesses }): void {
  metrics.beforeScrape(async () => {
    const standings = (await answering.list(clock.now())).map(({ standing }) => standing);
    for (const standing of ANSWERING_STANDINGS) metrics.answeringProcesses.set({ standing }, standings.filter((each) => each === standing).length);
    metrics.drainsEndEarly.set((await answering.knownToAll(clock.now())) === undefined ? 0 : 1);
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
