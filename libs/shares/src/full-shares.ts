import { after } from '#clock';
import { MINUTE_MS } from '#quantities';

import type { ShareUsage } from './share.js';

/** How long a share that turned out full gets nothing new, unless told otherwise: removals and operators need minutes, not seconds. */
export const FULL_PAUSE_MS = 5 * MINUTE_MS;

/** A share turned out full, although by plan it had room: others write to it, or files became larger than was guessed. */
export interface ShareFullEvent {
  readonly share: string;
  /** Until when it gets nothing new. */
  readonly until: Date;
  /** How full its provider says it is; undefined where that cannot be known. */
  readonly usage: ShareUsage | undefined;
}

/** Which shares turned out full of late, in this process: whoever is about to put something there asks first, and is told when to come back. */
export class FullShares {
  readonly #onFull: (event: ShareFullEvent) => void;
  readonly #pauseMs: number;
  readonly #until = new Map<string, Date>();

  /** @param onFull told once for each pause. */
  constructor(onFull: (event: ShareFullEvent) => void, pauseMs = FULL_PAUSE_MS) {
    this.#onFull = onFull;
    this.#pauseMs = pauseMs;
  }

  /** Notes that the share refused bytes because it is full; a pause that is under way goes on as it is. @returns until when. */
  note(share: string, usage: ShareUsage | undefined, now: Date): Date {
    const known = this.pausedUntil(share, now);
    if (known !== undefined) return known;
    const until = after(now, this.#pauseMs);
    this.#until.set(share, until);
    this.#onFull({ share, until, usage });
    return until;
  }

  /** Until when nothing new should be put there; undefined when something may. */
  pausedUntil(share: string, now: Date): Date | undefined {
    const until = this.#until.get(share);
    return until !== undefined && until > now ? until : undefined;
  }
}
