import { demandKeyText } from '../demand-store.js';
import type { DemandKey } from '../observation.js';

/** Rows written by one statement: putting its arguments together takes a turn of about a millisecond, in which no pull is answered. */
export const STATEMENT_ROWS_MAX = 500;

/** Rows of different keys, in the order of their keys and so many at a time. Transactions that write by several statements in this order never wait for each other in a circle. */
export function inKeyOrder<Row extends DemandKey>(rows: readonly Row[]): Generator<readonly Row[], void> {
  const byText = new Map(rows.map((row) => [demandKeyText(row), row]));
  return inStatements([...byText.keys()].toSorted().map((text) => byText.get(text)!));
}

/** Rows as they are, so many at a time. */
export function* inStatements<Row>(rows: readonly Row[]): Generator<readonly Row[], void> {
  for (let begin = 0; begin < rows.length; begin += STATEMENT_ROWS_MAX) yield rows.slice(begin, begin + STATEMENT_ROWS_MAX);
}
