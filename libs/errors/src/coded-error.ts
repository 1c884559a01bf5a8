/** What an error carries besides its message: its cause, whether another try may help, and the data of the case. */
export interface CodedErrorOptions {
  /** The foreign or deeper error that this one was turned from; kept for the log. */
  readonly cause?: unknown;
  /** True when the same call may succeed later without anything being changed (a busy server, a cut connection). Default false. */
  readonly transient?: boolean;
  /** Names and values of the case, safe to log and to show to an operator: never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The shape of every error that leaves a room: a stable code from that room's own union, a sentence for people,
 * and the data of the case as fields. A room declares one subclass, `class ShareError extends CodedError<ShareErrorCode>`.
 */
export abstract class CodedError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly transient: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.transient = options.transient ?? false;
    this.details = options.details ?? {};
  }
}

/** True when another try of what threw `error` may succeed. Errors without a code are taken as final: a defect is not retried away. */
export function isTransient(error: unknown): boolean {
  return error instanceof CodedError && error.transient;
}

/** One line for a log or a reason column: code and message of a coded error, the message of any other, the text of anything else. */
export function describeError(error: unknown): string {
  if (error instanceof CodedError) return `${error.code}: ${error.message}`;
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return String(error);
}
