/** Whose clock decides what is due and what has run out: the database's, which all processes share, or the caller's, for tests that turn it. */
export type DecidingClock = 'database' | 'caller';

/**
 * The instant that a caller calls now, on the clock that decides, as SQL: `parameter` (`$1`) is to be given {@link callersNow}. By the database's clock it is when the statement began, which is
 * after all locks that earlier statements of its transaction waited for.
 */
export function decidingNow(parameter: string): string {
  return `coalesce(${parameter}::timestamptz, statement_timestamp())`;
}

/** What the parameter of {@link decidingNow} is: nothing where the database's clock decides. */
export function callersNow(clock: DecidingClock, now: Date): Date | null {
  return clock === 'caller' ? now : null;
}

/** `ms` milliseconds, a parameter, as SQL that can be added to an instant. */
export function millisecondsOf(parameter: string): string {
  return `${parameter}::float8 * interval '1 millisecond'`;
}

/** An instant of the clock that decides, on the clock of a caller whose `now` was `decided` on that one. */
export function onCallersClock(instant: Date, { decided, now }: { readonly decided: Date; readonly now: Date }): Date {
  return new Date(instant.getTime() - decided.getTime() + now.getTime());
}
