import { ClaimLoop, type ClaimLoopOptions } from '#claims';
import type { RetryPolicy } from '#clock';
import { MINUTE_MS, SECOND_MS } from '#quantities';

import type { WorkSurroundings } from './work-surroundings.js';

/** How long failed work waits: from a second to five minutes, without end, for its row stays until it is done or not wanted any more. */
const BACKOFF: RetryPolicy = { triesMax: Number.POSITIVE_INFINITY, firstWaitMs: SECOND_MS, waitMaxMs: 5 * MINUTE_MS, askedWaitMaxMs: 0 };

/** A kind of work, as a loop carries it out. */
export type WorkKind<Item> = Pick<ClaimLoopOptions<Item>, 'name' | 'source' | 'work' | 'concurrency' | 'leaseMs' | 'pollMs'> & {
  /** Names a piece of work in the log. */
  readonly describe: (item: Item) => Record<string, unknown>;
};

/** A claim loop that logs and counts what becomes of its work. */
export function workLoop<Item>({ owner, clock, logger, metrics }: WorkSurroundings, { describe, ...kind }: WorkKind<Item>): ClaimLoop<Item> {
  return new ClaimLoop<Item>({
    ...kind,
    owner,
    clock,
    backoff: BACKOFF,
    onEnd: ({ item, outcome, seconds, error }) => {
      if (item === undefined) {
        logger.warn({ loop: kind.name, error }, 'work could not be claimed or renewed');
        return;
      }
      metrics.work.inc({ loop: kind.name, outcome });
      metrics.workSeconds.observe({ loop: kind.name }, seconds);
      const level = outcome === 'settled' ? 'debug' : 'warn';
      logger[level]({ loop: kind.name, ...describe(item), outcome, seconds, ...(error === undefined ? {} : { error }) }, 'work ended');
    },
  });
}
