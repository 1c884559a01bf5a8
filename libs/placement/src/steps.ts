/** Images, layers or turns after which a calculation over all of them stops for others: well below a millisecond's work for each hundred. */
export const STEP_COUNT = 1000;

/** So many are sorted at once: some milliseconds. */
const SORTED_AT_ONCE = 4 * STEP_COUNT;

/** Sorts in steps, as `toSorted` does: what is equal keeps its order. */
export function* sortInSteps<Of>(list: readonly Of[], compare: (a: Of, b: Of) => number): Generator<undefined, Of[]> {
  let sorted: Of[][] = [];
  for (let begin = 0; begin < list.length; begin += SORTED_AT_ONCE) {
    sorted.push(list.slice(begin, begin + SORTED_AT_ONCE).sort(compare));
    yield;
  }
  while (sorted.length > 1) {
    const merged: Of[][] = [];
    for (let n = 0; n < sorted.length; n += 2) merged.push(yield* merge(sorted[n]!, sorted[n + 1] ?? [], compare));
    sorted = merged;
  }
  return sorted[0] ?? [];
}

function* merge<Of>(first: readonly Of[], then: readonly Of[], compare: (a: Of, b: Of) => number): Generator<undefined, Of[]> {
  const merged: Of[] = [];
  let [a, b] = [0, 0];
  while (a < first.length || b < then.length) {
    const end = Math.min(merged.length + SORTED_AT_ONCE, first.length + then.length);
    while (merged.length < end) merged.push(b === then.length || (a < first.length && compare(first[a]!, then[b]!) <= 0) ? first[a++]! : then[b++]!);
    yield;
  }
  return merged;
}
