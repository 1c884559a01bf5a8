import { formatBytes } from '#quantities';

import type { BenchReport, Figure } from './bench.js';

/** A report for people. */
export function tableOf({ bench, machine, figures }: BenchReport): string {
  const rows = [['figure', 'value', 'at most', ''], ...figures.map(rowOf)];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, column) => (column === 0 || column === 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ').trimEnd());
  const failed = figures.filter((figure) => figure.holds === false).length;
  const verdict = failed === 0 ? 'every bound holds' : `${failed} of the bounds ${failed === 1 ? 'does' : 'do'} not hold`;
  return [`${bench}: ${machine.processor}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}, Linux ${machine.kernel}, Node ${machine.node}`, '', ...lines, '', verdict].join('\n');
}

function rowOf({ name, value, unit, against, bound, least, holds }: Figure): string[] {
  const inUnit = (number: number): string => (unit === 'ratio' ? `${number} ×` : `${number} ${unit}`);
  const bounded = bound === null ? '' : `${least === true ? 'at least ' : ''}${inUnit(bound)}`;
  return [against === null ? name : `${name}, against ${against}`, inUnit(value), bounded, holds === null ? '' : holds ? 'holds' : 'DOES NOT HOLD'];
}
