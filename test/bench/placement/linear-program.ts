import highsLoader from 'highs';

import { BenchError } from '../bench.js';

/** A sum of variables, each with its factor. */
export type Terms = ReadonlyMap<string, number>;

/** Maximise a sum where other sums have upper bounds; every variable is from 0 to 1. */
export interface LinearProgram {
  readonly maximise: Terms;
  readonly rows: readonly { readonly terms: Terms; readonly atMost: number }[];
}

/** What a program came to: the optimum, and for each row what one more of its bound would add. */
export interface Optimum {
  readonly value: number;
  readonly variables: ReadonlyMap<string, number>;
}

/** Terms in a line of the LP format, whose lines readers may bound. */
const TERMS_A_LINE = 8;

// Its types are those of the CommonJS build, where the loader is a property; the module that is loaded here is the loader itself.
const highs = (highsLoader as unknown as typeof highsLoader.default)();

/** Solves a program to its optimum. @throws {BenchError} when HiGHS finds none. */
export async function solve({ maximise, rows }: LinearProgram): Promise<Optimum> {
  const variables = new Set([...maximise.keys(), ...rows.flatMap(({ terms }) => [...terms.keys()])]);
  const text = [
    'Maximize', ` obj: ${sum(maximise)}`,
    'Subject To', ...rows.map(({ terms, atMost }, n) => ` c${n}: ${sum(terms)} <= ${atMost}`),
    'Bounds', ...[...variables].map((variable) => ` 0 <= ${variable} <= 1`),
    'End', '',
  ].join('\n');
  const { Status: status, ObjectiveValue: value, Columns: columns } = (await highs).solve(text);
  if (status !== 'Optimal') throw new BenchError(`HiGHS ends with ${status}`);
  return { value, variables: new Map([...variables].map((variable) => [variable, columns[variable]?.Primal ?? 0])) };
}

function sum(terms: Terms): string {
  const written = [...terms].map(([variable, factor]) => `${factor < 0 ? '-' : '+'} ${Math.abs(factor)} ${variable}`);
  const lines = Array.from({ length: Math.ceil(written.length / TERMS_A_LINE) }, (_, line) => written.slice(line * TERMS_A_LINE, (line + 1) * TERMS_A_LINE).join(' '));
  return lines.join('\n  ');
}
