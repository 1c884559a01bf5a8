import { compareDemandKeys } from '../demand-store.js';
import type { DemandKey } from '../observation.js';

/** Rows written by one statement: putting its arguments together takes a turn of half a millisecond, in which no pull is answered. */
export const STATEMENT_ROWS_MAX = 500;

/**
 * Rows of different keys, in the order of their keys and so many at a time. Transactions that write by several statements in this order never wait for each other in a circle. What is not asked for yet
 * is not ordered yet: between two statements others have their turn.
 */
export function* inKeyOrder<Row extends DemandKey>(rows: readonly Row[]): Generator<readonly Row[], void> {
  let some: Row[] = [];
  for (const ofRegion of inOrderOf(rows, 'region')) {
    for (const ofRepository of inOrderOf(ofRegion, 'repository')) {
      for (const row of ofRepository.toSorted(compareDemandKeys)) {
        some.push(row);
        if (some.length < STATEMENT_ROWS_MAX) continue;
        yield some;
        some = [];
      }
    }
  }
  if (some.length > 0) yield some;
}

/** Rows as they are, so many at a time. */
export function* inStatements<Row>(rows: readonly Row[]): Generator<readonly Row[], void> {
  for (let begin = 0; begin < rows.length; begin += STATEMENT_ROWS_MAX) yield rows.slice(begin, begin + STATEMENT_ROWS_MAX);
}

/** Rows as one argument of a statement, for `json_to_recordset`: the driver writes arguments that are lists element by element, which takes ten times as long. */
export function rowsText(rows: readonly object[]): string {
  return JSON.stringify(rows);
}

/** Rows that are alike in that part of their key, in its order. */
function inOrderOf<Row extends DemandKey>(rows: readonly Row[], part: 'region' | 'repository'): Row[][] {
  const groups = Map.groupBy(rows, (row) => row[part]);
  return [...groups.keys()].toSorted().map((name) => groups.get(name)!);
}
