/** How a path is held: by many at once, or by one alone. */
export type LockMode = 'shared' | 'exclusive';

interface Waiter {
  readonly mode: LockMode;
  readonly start: () => void;
}

interface PathLock {
  sharedCount: number;
  exclusive: boolean;
  readonly waiting: Waiter[];
}

/** Locks by path, first come first served, so that a waiting writer is not overtaken by readers for ever. */
export class PathLocks {
  readonly #locks = new Map<string, PathLock>();

  /** Runs `work` while holding `path`. Locks on several paths must be taken in the order of {@link both}. */
  async hold<T>(path: string, mode: LockMode, work: () => Promise<T>): Promise<T> {
    const lock = this.#locks.get(path) ?? { sharedCount: 0, exclusive: false, waiting: [] };
    this.#locks.set(path, lock);
    if (lock.waiting.length > 0 || !grantable(lock, mode)) await new Promise<void>((start) => lock.waiting.push({ mode, start }));
    else take(lock, mode);
    try {
      return await work();
    } finally {
      if (mode === 'shared') lock.sharedCount -= 1;
      else lock.exclusive = false;
      this.#startNext(path, lock);
    }
  }

  /** Runs `work` while holding two paths alone; the order of taking them is the same whoever asks, so that nobody waits in a circle. */
  both<T>(one: string, two: string, work: () => Promise<T>): Promise<T> {
    if (one === two) return this.hold(one, 'exclusive', work);
    const [first, second] = one < two ? [one, two] : [two, one];
    return this.hold(first, 'exclusive', () => this.hold(second, 'exclusive', work));
  }

  #startNext(path: string, lock: PathLock): void {
    for (let next = lock.waiting[0]; next !== undefined && grantable(lock, next.mode); next = lock.waiting[0]) {
      lock.waiting.shift();
      take(lock, next.mode);
      next.start();
    }
    if (lock.sharedCount === 0 && !lock.exclusive && lock.waiting.length === 0) this.#locks.delete(path);
  }
}

function grantable(lock: PathLock, mode: LockMode): boolean {
  return mode === 'shared' ? !lock.exclusive : !lock.exclusive && lock.sharedCount === 0;
}

function take(lock: PathLock, mode: LockMode): void {
  if (mode === 'shared') lock.sharedCount += 1;
  else lock.exclusive = true;
}
