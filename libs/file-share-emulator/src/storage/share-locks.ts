import { folded, parentOf } from './host-tree.js';
import { type LockMode, PathLocks } from './path-locks.js';

/** Who may act on what in a share at the same time. Paths are the same whatever their case. */
export class ShareLocks {
  readonly #paths = new PathLocks();
  readonly #whole = new PathLocks();

  /** Runs `work` while nothing else on the share changes or is read. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#whole.hold('', 'exclusive', work);
  }

  /** Holds one path. */
  hold<T>(path: string, mode: LockMode, work: () => Promise<T>): Promise<T> {
    return this.#together(() => this.#paths.hold(folded(path), mode, work));
  }

  /** Holds `path` alone, and its folder so that it is not removed meanwhile. */
  inParent<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#together(() => this.#paths.hold(membership(path), 'shared', () => this.#paths.hold(folded(path), 'exclusive', work)));
  }

  /** Holds a folder alone, and that nothing comes into it meanwhile. */
  withMembers<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#together(() => this.#paths.both(folded(`${path}/`), folded(path), work));
  }

  /** Holds both ends of a move alone, and the folder it goes to so that it is not removed meanwhile. */
  move<T>(from: string, to: string, work: () => Promise<T>): Promise<T> {
    return this.#together(() => this.#paths.hold(membership(to), 'shared', () => this.#paths.both(folded(from), folded(to), work)));
  }

  #together<T>(work: () => Promise<T>): Promise<T> {
    return this.#whole.hold('', 'shared', work);
  }
}

/** The lock for being in the folder of `path`: another one than the folder's own, and taken before any path's own, so that nobody waits in a circle. */
function membership(path: string): string {
  return folded(`${parentOf(path) ?? ''}/`);
}
