import { AzureFilesShare } from '#shares/azure-files';
import { Metrics } from '#telemetry';

import type { ShareSet } from './share-set.js';

/** The metrics of this process; how hard each share may be asked is read from its driver whenever they are. */
export function metricsWithShares(shares: ShareSet): Metrics {
  const metrics = new Metrics();
  metrics.beforeScrape(async () => {
    for (const share of shares.byName.values()) if (share instanceof AzureFilesShare) metrics.shareCallsWidth.set({ region: share.name }, share.callsWidth);
  });
  return metrics;
}
