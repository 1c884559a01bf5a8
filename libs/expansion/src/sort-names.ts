import { STEPS_BETWEEN_TURNS, Turns } from './turns.js';

/**
 * Sorts the names of a directory by their bytes, as `sort` does with one character per byte. Everything else that the process does has its turn in between:
 * sorting a million at once takes a second.
 */
export async function sortNames(names: readonly string[]): Promise<string[]> {
  if (names.length <= STEPS_BETWEEN_TURNS) return names.toSorted();
  const turns = new Turns();
  let sorted: string[][] = [];
  for (let at = 0; at < names.length; at += STEPS_BETWEEN_TURNS) {
    sorted.push(names.slice(at, at + STEPS_BETWEEN_TURNS).sort());
    await turns.others();
  }
  while (sorted.length > 1) {
    const merged: string[][] = [];
    for (let at = 0; at < sorted.length; at += 2) merged.push(at + 1 < sorted.length ? await merge(sorted[at]!, sorted[at + 1]!, turns) : sorted[at]!);
    sorted = merged;
  }
  return sorted[0]!;
}

async function merge(one: readonly string[], other: readonly string[], turns: Turns): Promise<string[]> {
  const merged: string[] = [];
  for (let at = 0, otherAt = 0; at < one.length || otherAt < other.length; ) {
    const fromOne = otherAt === other.length || (at < one.length && one[at]! <= other[otherAt]!);
    merged.push(fromOne ? one[at++]! : other[otherAt++]!);
    if (turns.isDue()) await turns.others();
  }
  return merged;
}
