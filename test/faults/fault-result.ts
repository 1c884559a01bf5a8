/** What came of one run. */
export interface FaultResult {
  readonly name: string;
  /** Copies that a pull was answered with, each looked at byte for byte. */
  readonly whole: number;
  /** How many there had to be, at least. */
  readonly expected: number;
  readonly seconds: number;
  /** How often a fault struck, or a process was killed. */
  readonly strikes: number;
  /** Tries that ended unfinished and were repeated, by the code of what ended them. */
  readonly tries: Readonly<Record<string, number>>;
  /** Everything that was not as it had to be. */
  readonly problems: readonly string[];
}

/** Whether everything was as it had to be. */
export function holds({ whole, expected, problems }: FaultResult): boolean {
  return problems.length === 0 && whole >= expected;
}

/** The results as a table for people. */
export function tableOf(results: readonly FaultResult[]): string {
  const rows = results.map((result) => [
    holds(result) ? 'holds' : 'FAILS', result.name, `${result.whole} of ${result.expected}`, String(result.strikes), result.seconds.toFixed(1),
    Object.entries(result.tries).map(([why, count]) => `${count} × ${why}`).join(', ') || 'none',
  ]);
  const header = ['', 'fault', 'whole', 'strikes', 'seconds', 'tries that were repeated'];
  const widths = header.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const lines = [header, ...rows].map((row) => row.map((text, n) => text.padEnd(widths[n]!)).join('  ').trimEnd());
  return [...lines, ...results.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`))].join('\n');
}
