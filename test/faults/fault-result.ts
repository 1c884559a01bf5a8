import { countsText, resultTable } from '../result-table.js';

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
  return resultTable(results, {
    kind: 'fault', holds,
    columns: {
      whole: ({ whole, expected }) => `${whole} of ${expected}`, strikes: ({ strikes }) => String(strikes), seconds: ({ seconds }) => seconds.toFixed(1),
      'tries that were repeated': ({ tries }) => countsText(tries),
    },
  });
}
