import { setImmediate } from 'node:timers/promises';

/** For how long a long calculation keeps the thread to itself, in milliseconds: who waits meanwhile waits as long, and a lookup has fifty. */
export const SLICE_MAX_MS = 10;

/**
 * Carries out a calculation that stops now and then, so that whatever else the process has to do is done in between. What it comes to does not depend on where it is stopped, as long as nobody
 * changes what it works on. Steps are to be well below {@link SLICE_MAX_MS}: one that has begun is not stopped.
 */
export async function inSlices<Result>(steps: Generator<unknown, Result, void>): Promise<Result> {
  for (let beganMs = performance.now(); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - beganMs < SLICE_MAX_MS) continue;
    await giveWay();
    beganMs = performance.now();
  }
}

/**
 * Carries out a calculation in slices that comes to several things on the way, and gives each as soon as it is there: all that it stops with but `undefined`. A slice begins anew after each, and before
 * it everything that waits is done.
 */
export async function* foundInSlices<Found>(steps: Generator<Found | undefined, unknown, void>): AsyncGenerator<Found, void> {
  for (let isDone = false; !isDone;) {
    const found = await inSlices(untilFound(steps));
    await giveWay();
    isDone = found === undefined;
    if (found !== undefined) yield found;
  }
}

/** The same steps up to the next thing; nothing at the end. */
function* untilFound<Found>(steps: Generator<Found | undefined, unknown, void>): Generator<void, Found | undefined, void> {
  for (let step = steps.next(); step.done !== true; step = steps.next()) {
    if (step.value !== undefined) return step.value;
    yield;
  }
  return undefined;
}

/** Has everything that waits for the thread done first: connections, timers, other calculations. */
export async function giveWay(): Promise<void> {
  await setImmediate();
}

/** Carries out the same without stopping: for callers that have a thread to themselves. */
export function atOnce<Result>(steps: Generator<unknown, Result, void>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
