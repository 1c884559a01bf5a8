/** The token of the log: pino's logger is a type, and a token must be a value. */
export const LOGGER = Symbol('logger');

/** Names this process among all others: the owner of its claims and turns. */
export class ProcessName {
  constructor(readonly text: string) {}
}
