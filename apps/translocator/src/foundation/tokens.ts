/** The token of the log: pino's logger is a type, and a token must be a value. */
export const LOGGER = Symbol('logger');

/** Names this process among all others: the owner of its claims and turns. */
export class ProcessName {
  constructor(readonly text: string) {}
}

/** When the database is open: at once, but for a process that answers from memory until it is. */
export class DatabaseOpening {
  /** @param opened resolves when it is, or nobody tries any more; rejects when it never will be. */
  constructor(readonly opened: Promise<void>) {}
}
