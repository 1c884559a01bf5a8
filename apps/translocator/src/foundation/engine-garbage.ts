import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * What is said to V8 of a process that answers pulls, by flags that it looks at while it runs.
 *
 * - `--memory-reducer-gc-count=0`: no search for garbage that is only to give memory back. One otherwise begins whenever the last was a hundred seconds ago, however busy the process is, and leaves a young
 *   space of 1 MB and an old one that is nearly full, so that more follow within the minute.
 * - `--gc-memory-reducer-start-delay-ms` (24 days, the most that it takes): the reducer waits for its turn. One that has had it, and may not search, has the old space grow slowly: of a million layers it was
 *   searched every 37 s. Alone it is not enough, as the first turn falls due before this is called.
 * - `--no-allocation-site-pretenuring`: nothing is made in the old space at once because others of its kind grew old. That is decided once and for good, such as in the first seconds of a load, when
 *   everything waits; from then on each answer left a piece in the old space that holds on to all of its request: a quarter of all that was made grew old, and scavenges took 30 ms instead of three.
 * - `--heap-growing-percent=300`: the old space is searched when it has four times what was alive in it the last time. That is the most that V8 takes by itself; it takes less, half as much again for a
 *   million layers, where marking was slow beside the mutator, which on a core that both share says nothing of memory: there it was searched every 25 s, and each search was a tenth of a second for answers.
 * - `--no-parallel-scavenge`: the thread that waits for a scavenge does it. There are two megabytes to copy, and to hand them to other threads and wait took a quarter of the time where all share a core.
 */
export const ENGINE_FLAGS: readonly string[] = ['--memory-reducer-gc-count=0', '--gc-memory-reducer-start-delay-ms=2147483647', '--no-allocation-site-pretenuring', '--heap-growing-percent=300', '--no-parallel-scavenge'];

let seldom = false;

/** Has V8 keep what is old small, and look for garbage in it only when it has grown. For the whole process, and for good: called once, before anything else is begun. Memory that is free again stays with the process. */
export function collectSeldom(): void {
  for (const flag of ENGINE_FLAGS) setFlagsFromString(flag);
  seldom = true;
}

/**
 * Where garbage is collected seldom, looks for it now, in one turn: for the moment when much has been loaded and hardly anybody asks yet. The old space may then grow to four times what is alive now; otherwise it was
 * searched early in the load, when little was alive, and would be full of what is alive a minute later. Does nothing in any other process.
 */
export function searchAfterLoad(): void {
  if (!seldom) return;
  setFlagsFromString('--expose-gc');
  const search = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  search();
}
