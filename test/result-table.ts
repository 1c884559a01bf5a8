/** What results have in common, whatever was run. */
export interface NamedResult {
  readonly name: string;
  /** Everything that was not as it had to be. */
  readonly problems: readonly string[];
}

/** How results are shown to people. */
export interface ResultColumns<Result extends NamedResult> {
  /** What is run, in one word: the title of the names. */
  readonly kind: string;
  readonly holds: (result: Result) => boolean;
  /** The other columns, by their titles, in order. */
  readonly columns: Readonly<Record<string, (result: Result) => string>>;
}

/** Results as a table, and the problems of all of them below it. */
export function resultTable<Result extends NamedResult>(results: readonly Result[], { kind, holds, columns }: ResultColumns<Result>): string {
  const titles = ['', kind, ...Object.keys(columns)];
  const rows = results.map((result) => [holds(result) ? 'holds' : 'FAILS', result.name, ...Object.values(columns).map((text) => text(result))]);
  const widths = titles.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const lines = [titles, ...rows].map((row) => row.map((text, n) => text.padEnd(widths[n]!)).join('  ').trimEnd());
  return [...lines, ...results.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`))].join('\n');
}

/** Counts by what was counted: `3 × this, 1 × that`. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([what, count]) => `${count} × ${what}`).join(', ') || 'none';
}
