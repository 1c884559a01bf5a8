import { type DestinationStream, type Logger, pino } from 'pino';

import { textWithoutSecrets, withoutSecrets } from './without-secrets.js';

export type { Logger } from 'pino';

/**
 * The structured log of the service: one JSON object a line, times in RFC 3339, errors with code, details and causes. Secrets are taken out wherever
 * their names or forms tell them: of objects at any depth, and of whole lines.
 * @param destination where lines go; standard output unless a test listens.
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const clean = (object: Record<string, unknown>): Record<string, unknown> => withoutSecrets(object, (error) => loggedError(error)) as Record<string, unknown>;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: clean, bindings: clean },
      // Messages, and objects that are not plain, come by no other way.
      hooks: { streamWrite: textWithoutSecrets },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** How deep chains of causes are followed into the log. */
const CAUSES_MAX = 5;

/** An error as the log shows it. */
export function loggedError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return textWithoutSecrets(String(error));
  const { code, details } = error as { code?: unknown; details?: unknown };
  return {
    name: error.name,
    message: textWithoutSecrets(error.message),
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details: withoutSecrets(details, (inner) => loggedError(inner, CAUSES_MAX)) }),
    ...(depth === 0 && code === undefined ? { stack: textWithoutSecrets(error.stack ?? '') } : {}),
    ...(error.cause === undefined || depth >= CAUSES_MAX ? {} : { cause: loggedError(error.cause, depth + 1) }),
  };
}
