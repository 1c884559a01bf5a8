import type { AnsweringProcesses } from '#mounts';
import { SECOND_MS } from '#quantities';
import type { ReplicaStore } from '#replication';

import type { ClockedTask } from './clocked-tasks.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often it is looked whether graces can end: one statement on a table of a few rows, and one on what drains. */
const LOOK_EVERY_MS = 2 * SECOND_MS;
/** Graces that one statement ends: a bound on how long it holds others up. */
const GRACES_MAX = 1000;
/** Statements in one look; what is left is for the next. */
const ROUNDS_MAX = 100;

/** Ends the grace of what drains as soon as every process that answers knows of it; every process that removes does so. Without that each has its whole time. */
export function endingGraces({ clock, signals, logger }: WorkSurroundings, { answering, replicas }: { readonly answering: AnsweringProcesses; readonly replicas: ReplicaStore }): ClockedTask {
  return {
    name: 'end graces',
    everyMs: LOOK_EVERY_MS,
    run: async (signal) => {
      const knownTo = await answering.knownToAll(clock.now());
      if (knownTo === undefined) return;
      let ended = 0;
      for (let round = 0; round < ROUNDS_MAX && !signal.aborted; round += 1) {
        const count = await replicas.endGraces({ knownTo, limit: GRACES_MAX, now: clock.now() });
        ended += count;
        if (count < GRACES_MAX) break;
      }
      if (ended === 0) return;
      logger.info({ replicas: ended, knownTo: knownTo.toString() }, 'everybody who answers knows of replicas that drain: their grace ended');
      signals.replicasOrdered();
    },
  };
}
