import { countsText, resultTable } from '../result-table.js';

/** Every answer has to be there within this, in milliseconds. */
export const ANSWER_MAX_MS = 50;

/** What came of one outage. */
export interface OutageResult {
  readonly name: string;
  /** Answers that were measured while the outage lasted. */
  readonly answers: number;
  /** In milliseconds. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  /** How many layers were answered how: `mount`, or a blob's reason. */
  readonly layers: Readonly<Record<string, number>>;
  /** Everything that was not as it had to be. */
  readonly problems: readonly string[];
}

/** Whether everything was as it had to be, and 99 of 100 answers were there in time. */
export function holds({ problems, p99Ms, answers }: OutageResult): boolean {
  return problems.length === 0 && answers > 0 && p99Ms <= ANSWER_MAX_MS;
}

/** The results as a table for people. */
export function tableOf(results: readonly OutageResult[]): string {
  return resultTable(results, {
    kind: 'outage', holds,
    columns: {
      answers: ({ answers }) => String(answers), 'median ms': ({ medianMs }) => medianMs.toFixed(1), 'p99 ms': ({ p99Ms }) => p99Ms.toFixed(1),
      'slowest ms': ({ slowestMs }) => slowestMs.toFixed(1), layers: ({ layers }) => countsText(layers),
    },
  });
}
