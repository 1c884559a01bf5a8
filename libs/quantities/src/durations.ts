/** One second in milliseconds. */
export const SECOND_MS = 1000;
/** One minute in milliseconds. */
export const MINUTE_MS = 60 * SECOND_MS;
/** One hour in milliseconds. */
export const HOUR_MS = 60 * MINUTE_MS;
/** One day in milliseconds. */
export const DAY_MS = 24 * HOUR_MS;

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/**
 * Reads a duration such as `15m`, `3d`, `250ms` or `1.5h`. A unit is required: a bare number is ambiguous.
 * @returns milliseconds, or undefined when the text is no duration.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$/.exec(text);
  const unit = DURATION_UNITS[match?.[2] ?? '?'];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** Milliseconds for people: `840 ms`, `12.4 s`, `3.2 min`, `5.1 h`, `2 d`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${Number((ms / SECOND_MS).toPrecision(3))} s`;
  if (ms < HOUR_MS) return `${Number((ms / MINUTE_MS).toPrecision(3))} min`;
  if (ms < DAY_MS) return `${Number((ms / HOUR_MS).toPrecision(3))} h`;
  return `${Number((ms / DAY_MS).toPrecision(3))} d`;
}
