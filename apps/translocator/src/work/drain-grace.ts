import type { Config } from '#config';
import { removalWaitMs } from '#mounts';

/** How long at most a replica stays that nobody holds, after it has left the answers: until the last lookup that may not know of it, and the last lease that nobody wrote down, are over. */
export function drainGraceMs(config: Config): number {
  return removalWaitMs({ leaseTtlMs: config.leases.ttl, mapAgeMaxMs: config.lookup.staleMax });
}
