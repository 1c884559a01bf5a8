import { cpus, release, totalmem } from 'node:os';

/** One figure of a bench. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the value was measured against; null where it stands for itself. */
  readonly against: string | null;
  /** What the value may be at most, or at least where `least` says so; null where nothing is promised. */
  readonly bound: number | null;
  readonly least?: true;
  /** Whether it keeps its bound; null without one. */
  readonly holds: boolean | null;
}

/** Where a bench ran. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
}

/** What a bench came to. */
export interface BenchReport {
  readonly bench: string;
  readonly machine: Machine;
  readonly figures: readonly Figure[];
}

/** A bench: one question, answered by figures. */
export interface Bench {
  /** The question, in one line. */
  readonly question: string;
  /** What of it can be measured alone; absent: it is measured whole. */
  readonly parts?: readonly string[];
  /** Parts that are measured only where they are named, each by itself: it takes long, and has a report of its own. */
  readonly partsApart?: readonly string[];
  /** Options that it takes besides, each with a value, and what they are for. */
  readonly options?: Readonly<Record<string, string>>;
  /** Those of its options that name a file to be written besides: they change nothing of what is measured. */
  readonly files?: Readonly<Record<string, string>>;
  /**
   * Measures. Takes minutes.
   * @param tell says what goes on, to people.
   * @param parts which of its parts; none of them for a bench that has none.
   * @param options those that were given, files among them.
   * @param keep hears of figures as soon as a part has them, so that they are not lost when another part fails; a bench of one part need not tell.
   * @throws {BenchError} when it cannot be run here, or parts of it failed: what was told to `keep` holds.
   */
  run(tell: (line: string) => void, parts: readonly string[], options: Readonly<Record<string, string>>, keep: (figures: readonly Figure[]) => Promise<void>): Promise<readonly Figure[]>;
}

/** A bench that could not be run: something is missing on this machine, or did not do what it is measured for. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

/** A figure that stands for itself. */
export function measured(name: string, value: number, unit: string): Figure {
  return { name, value: rounded(value), unit, against: null, bound: null, holds: null };
}

/** A figure that says how many times as much as something else it is, and must not pass a bound. */
export function ratioAtMost(name: string, value: number, { against, bound }: { readonly against: string; readonly bound: number }): Figure {
  return { name, value: rounded(value), unit: 'ratio', against, bound, holds: value <= bound };
}

/** A figure that says how many times as much as something else it is, and must reach a bound. */
export function ratioAtLeast(name: string, value: number, { against, bound }: { readonly against: string; readonly bound: number }): Figure {
  return { name, value: rounded(value), unit: 'ratio', against, bound, least: true, holds: value >= bound };
}

/** A figure that must not pass a bound of its own unit. */
export function valueAtMost(name: string, value: number, { unit, bound }: { readonly unit: string; readonly bound: number }): Figure {
  return { name, value: rounded(value), unit, against: null, bound, holds: value <= bound };
}

/** This machine. */
export function thisMachine(): Machine {
  return { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryBytes: totalmem(), kernel: release(), node: process.version };
}

/** What is measured of a bench. */
export interface Asked {
  readonly parts: readonly string[];
  /** What the report is called. */
  readonly report: string;
  /** Whether that holds figures of other parts besides, which stay as they were. */
  readonly isMerged: boolean;
}

/** What is measured of a bench of which some parts are named. @throws {BenchError} for a part that it has not, or that is not measured together with others. */
export function askedOf(name: string, { parts = [], partsApart = [] }: Pick<Bench, 'parts' | 'partsApart'>, named: readonly string[]): Asked {
  const all = [...parts, ...partsApart];
  const unknown = named.find((part) => !all.includes(part));
  if (unknown !== undefined) throw new BenchError(`--part ${JSON.stringify(unknown)} is none of the parts of ${name}: ${all.join(', ') || 'it has none'}`);
  const apart = partsApart.find((part) => named.includes(part));
  if (apart === undefined) return { parts: named.length === 0 ? parts : named, report: name, isMerged: named.length > 0 };
  if (named.length > 1) throw new BenchError(`the part ${apart} of ${name} is measured by itself`);
  return { parts: named, report: `${name}-${apart}`, isMerged: false };
}

/** The figures of a run of some parts, in the place of those of the same name that were kept before; new ones follow. */
export function mergedFigures(before: readonly Figure[], now: readonly Figure[]): Figure[] {
  const key = ({ name, against }: Figure): string => JSON.stringify([name, against]);
  const fresh = new Map(now.map((figure) => [key(figure), figure]));
  const kept = before.map((figure) => fresh.get(key(figure)) ?? figure);
  const known = new Set(before.map(key));
  return [...kept, ...now.filter((figure) => !known.has(key(figure)))];
}

/** The middle one of some values; of two in the middle the mean. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Four digits: no figure here is more exact. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
