import { setFlagsFromString } from 'node:v8';

/**
 * What is said to V8 of a process that answers pulls, by flags that it looks at while it runs.
 *
 * - `--memory-reducer-gc-count=0`: no search for garbage that is only to give memory back. One otherwise begins whenever the last was a hundred seconds ago, however busy the process is, and leaves a young
 *   space of 1 MB and an old one that is nearly full, so that more follow within the minute.
 * - `--gc-memory-reducer-start-delay-ms` (24 days, the most that it takes): the reducer waits for its turn. One that has had it, and may not search, has the old space grow slowly: of a million layers it was
 *   searched every 37 s. Alone it is not enough, as the first turn falls due before this is called.
 * - `--no-allocation-site-pretenuring`: nothing is made in the old space at once because others of its kind grew old. That is decided once and for good, such as in the first seconds of a load, when
 *   everything waits; from then on each answer left a piece in the old space that holds on to all of its request: a quarter of all that was made grew old, and scavenges took 30 ms instead of three.
 */
export const ENGINE_FLAGS: readonly string[] = ['--memory-reducer-gc-count=0', '--gc-memory-reducer-start-delay-ms=2147483647', '--no-allocation-site-pretenuring'];

/** Has V8 keep what is old small, and look for garbage in it only when it has grown. For the whole process, and for good: called once, before anything else is begun. Memory that is free again stays with the process. */
export function collectSeldom(): void {
  for (const flag of ENGINE_FLAGS) setFlagsFromString(flag);
}
