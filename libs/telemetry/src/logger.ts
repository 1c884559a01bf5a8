import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Names under which secrets travel in objects that get logged; their values are replaced. */
const SECRET_PATHS = [
  'authorization', '*.authorization', 'headers.authorization', '*.headers.authorization',
  'password', '*.password', 'token', '*.token', 'accountKey', '*.accountKey', 'url.sig', '*.sig',
];

/**
 * The structured log of the service: one JSON object a line, times in RFC 3339, errors with code, details and causes.
 * @param destination where lines go; standard output unless a test listens.
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[secret]' },
      serializers: { error: loggedError },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** How deep chains of causes are followed into the log. */
const CAUSES_MAX = 5;

/** An error as the log shows it. Signatures in URLs are taken out of messages. */
export function loggedError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return withoutSignatures(String(error));
  const { code, details } = error as { code?: unknown; details?: unknown };
  return {
    name: error.name,
    message: withoutSignatures(error.message),
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details }),
    ...(depth === 0 && code === undefined ? { stack: withoutSignatures(error.stack ?? '') } : {}),
    ...(error.cause === undefined || depth >= CAUSES_MAX ? {} : { cause: loggedError(error.cause, depth + 1) }),
  };
}

function withoutSignatures(text: string): string {
  return text.replaceAll(/([?&]sig=)[^&\s"']+/gi, '$1[secret]');
}
