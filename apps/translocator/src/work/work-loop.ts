import { ClaimLoop, type ClaimLoopOptions } from '#claims';
import type { Clock, RetryPolicy } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';
import type { Logger, Metrics } from '#telemetry';

/** How long failed work waits: from a second to five minutes, without end, for its row stays until it is done or not wanted any more. */
const BACKOFF: RetryPolicy = { triesMax: Number.POSITIVE_INFINITY, firstWaitMs: SECOND_MS, waitMaxMs: 5 * MINUTE_MS, askedWaitMaxMs: 0 };

/** What every loop of a process shares. */
export interface LoopSurroundings {
  readonly owner: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A claim loop that logs and counts what becomes of its work. `describe` names a piece of work in the log. */
export function workLoop<Item>(
  surroundings: LoopSurroundings,
  options: Pick<ClaimLoopOptions<Item>, 'name' | 'source' | 'work' | 'concurrency' | 'leaseMs' | 'pollMs'>,
  describe: (item: Item) => Record<string, unknown>,
): ClaimLoop<Item> {
  const { owner, clock, logger, metrics } = surroundings;
  return new ClaimLoop<Item>({
    ...options,
    owner,
    clock,
    backoff: BACKOFF,
    onEnd: ({ item, outcome, seconds, error }) => {
      if (item === undefined) {
        logger.warn({ loop: options.name, error }, 'work could not be claimed or renewed');
        return;
      }
      metrics.work.inc({ loop: options.name, outcome });
      metrics.workSeconds.observe({ loop: options.name }, seconds);
      const level = outcome === 'settled' ? 'debug' : 'warn';
      logger[level]({ loop: options.name, ...describe(item), outcome, seconds, ...(error === undefined ? {} : { error }) }, 'work ended');
    },
  });
}
