/** One call that changed something, or tried to: who, when, what, and what came of it. Written before the call is carried out, so that no change is without one. */
export interface TrailEntry {
  /** A UUID in lower case. */
  readonly id: string;
  readonly at: Date;
  /** `admin` for the token of the environment, `token:<id>` for a service token, `certificate:<subject>` for a client certificate. */
  readonly actor: string;
  /** The actor's name for people, as it was then. */
  readonly actorName: string;
  /** From where: an IP address. */
  readonly address: string;
  /** The HTTP method. */
  readonly method: string;
  /** The path without its query, at most {@link TRAIL_PATH_LENGTH_MAX} characters. */
  readonly path: string;
  /** The request's body as JSON, cut at {@link TRAIL_BODY_LENGTH_MAX} characters; absent when there was none. */
  readonly body?: string;
  /** The HTTP status that ended the call. Absent while it runs, and for ever when the process ended in the middle of it: then the change may have been made or not. */
  readonly status?: number;
}

/** Characters of a path in the trail. */
export const TRAIL_PATH_LENGTH_MAX = 500;
/** Characters of a body in the trail: an operator's rule, not a bulk. */
export const TRAIL_BODY_LENGTH_MAX = 2000;
/** Entries that are kept; the oldest go. At some hundred changes a day, a year. */
export const TRAIL_ENTRIES_MAX = 100_000;

/** A body as the trail keeps it. */
export function trailBodyOf(body: unknown): string | undefined {
  if (body === undefined || body === null || Buffer.isBuffer(body)) return undefined;
  const text = JSON.stringify(body);
  return text.length <= TRAIL_BODY_LENGTH_MAX ? text : `${text.slice(0, TRAIL_BODY_LENGTH_MAX - 1)}…`;
}
