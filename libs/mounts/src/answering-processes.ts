import { SECOND_MS } from '#quantities';

/** Silence of all processes that answer, after which nothing is taken to be known any more: longer than a server takes to be started again, far shorter than any restoring from a backup. */
export const SILENCE_MAX_MS = 30 * SECOND_MS;

/** What a process that answers mounts says of itself, again and again. */
export interface AnsweringBeat {
  /** A random UUID, another one for each process that is started. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** For how long after it was heard last it may still hand out what it knew then, and nodes may hold it without anybody knowing, in milliseconds. */
  readonly countsForMs: number;
  /**
   * A place in the feed, as a transaction: what left the answers up to there the process does not hand out any more, nor does who starts from what it has on disk, and every lease that it gave on it is
   * written. Undefined: nothing is known.
   */
  readonly knownTo: bigint | undefined;
  /** Whether it handed out mounts without a lease since the beat before this one. */
  readonly isUnleased: boolean;
  /** True for the last beat: it answers nothing any more, but who starts from what it left on disk may. */
  readonly isEnded: boolean;
  /** The process from whose map on disk this one began: if that one has ended, it speaks for it from now on. */
  readonly predecessor?: string | undefined;
}

/**
 * How a process stands: it `follows`; has been `silent` for longer than {@link SILENCE_MAX_MS}; has `ended` and left a map on disk that another may start from; handed out mounts `unleased`, not long
 * ago; or has acknowledged `nothing` yet.
 */
export const ANSWERING_STANDINGS = ['follows', 'silent', 'ended', 'unleased', 'nothing'] as const;

/** One of {@link ANSWERING_STANDINGS}. */
export type AnsweringStanding = (typeof ANSWERING_STANDINGS)[number];

/** A process that counts. */
export interface AnsweringProcess extends Pick<AnsweringBeat, 'id' | 'name' | 'knownTo'> {
  /** By the clock of who asks. */
  readonly heardAt: Date;
  readonly standing: AnsweringStanding;
}

/**
 * The processes that answer mounts, and what all of them know. Each is heard every few seconds. One that was not heard for `countsForMs` does not count: its map is too old to hand out anything, and
 * every lease that it gave is over.
 *
 * The database may be restored, or a standby take over that missed the last writes. Then leases may be lost that somebody acknowledged, and places in the feed mean something else. So nothing is known until the history of the
 * database was unbroken for as long as the longest of these processes counts. It is broken when nobody was heard for {@link SILENCE_MAX_MS}, and when server, timeline, database or table are other ones.
 *
 * All by the store's clock; `now` is the caller's and only serves stores that have no clock of their own, and to tell instants.
 */
export abstract class AnsweringProcesses {
  /** Notes a beat. One statement, on one row and one other. */
  abstract heard(beat: AnsweringBeat, now: Date): Promise<void>;

  /** Has a process not count any more that answers nothing, and left nothing behind that could; one that handed out mounts without a lease counts as long as before. Repeating it changes nothing. */
  abstract forget(id: string, now: Date): Promise<void>;

  /** The place in the feed up to which every process that counts knows; undefined when that is not known, or there is none. One statement. */
  abstract knownToAll(now: Date): Promise<bigint | undefined>;

  /** Those that count, the one first that was heard the longest ago. */
  abstract list(now: Date): Promise<readonly AnsweringProcess[]>;

  /** Forgets up to `limit` that do not count any more; never the one that was heard last, which tells how long there has been silence. @returns how many went. */
  abstract prune(now: Date, limit: number): Promise<number>;
}
