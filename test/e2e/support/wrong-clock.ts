/**
 * The environment of a process that asks what day and time it is and is told wrong; waits take as long as ever. Needs the library of Debian's `faketime`, but not the program, which would outlive
 * its child's signals.
 */
export function wrongClock(minutes: number): Record<string, string> {
  return { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: `${minutes > 0 ? '+' : ''}${minutes}m`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}
