import { MINUTE_MS } from '#quantities';
import type { Share } from '#shares';

import type { ClockedTask } from './clocked-tasks.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often the shares' providers are asked how full they are: two calls each. */
const ASK_EVERY_MS = 5 * MINUTE_MS;

/** Has the gauges show what the providers count, beside what the plan reserves. Shares that do not say keep no gauge. */
export function measuringShares({ logger, metrics }: Pick<WorkSurroundings, 'logger' | 'metrics'>, shares: ReadonlyMap<string, Share>): ClockedTask {
  const measure = async (share: Share, signal: AbortSignal): Promise<void> => {
    const usage = await share.usage(signal);
    if (usage === undefined) return;
    metrics.shareStoredBytes.set({ region: share.name }, usage.usedBytes);
    metrics.shareProvisionedBytes.set({ region: share.name }, usage.provisionedBytes);
    if (usage.provisionedBytes < share.capacityBytes) {
      logger.warn({ share: share.name, capacityBytes: share.capacityBytes, ...usage }, 'a share holds less than its capacity says: plans will fill it up');
    }
  };
  return {
    name: 'measure shares',
    everyMs: ASK_EVERY_MS,
    run: async (signal) => {
      const measured = [...shares.values()].map((share) =>
        measure(share, signal).catch((error: unknown) => {
          if (!signal.aborted) logger.warn({ error, share: share.name }, 'a share does not say how full it is');
        }),
      );
      await Promise.all(measured);
    },
  };
}
