import type { ByteRange } from './share.js';

/**
 * A set of byte positions as ascending, disjoint, non-touching ranges. Adding and removing cost a binary search and
 * the ranges behind the change; a file written in order stays one range.
 */
export class ByteRangeSet {
  /** Flat: start 0, end 0, start 1, end 1, …; ends are exclusive. */
  #bounds: number[] = [];

  constructor(ranges: Iterable<ByteRange> = []) {
    for (const range of ranges) this.add(range);
  }

  /** How many ranges there are. */
  get size(): number {
    return this.#bounds.length / 2;
  }

  /** Bytes in all ranges together. */
  get byteCount(): number {
    let total = 0;
    for (let at = 0; at < this.#bounds.length; at += 2) total += this.#bounds[at + 1]! - this.#bounds[at]!;
    return total;
  }

  /** Adds every position of `range`; an empty range adds nothing. */
  add(range: ByteRange): void {
    if (range.length <= 0) return;
    let start = range.offset;
    let end = range.offset + range.length;
    const first = this.#firstEndingAtOrAfter(start);
    let last = first;
    while (last < this.#bounds.length && this.#bounds[last]! <= end) {
      start = Math.min(start, this.#bounds[last]!);
      end = Math.max(end, this.#bounds[last + 1]!);
      last += 2;
    }
    this.#bounds.splice(first, last - first, start, end);
  }

  /** Takes every position of `range` out. */
  remove(range: ByteRange): void {
    if (range.length <= 0) return;
    const end = range.offset + range.length;
    const first = this.#firstEndingAtOrAfter(range.offset + 1);
    const kept: number[] = [];
    let last = first;
    while (last < this.#bounds.length && this.#bounds[last]! < end) {
      if (this.#bounds[last]! < range.offset) kept.push(this.#bounds[last]!, range.offset);
      if (this.#bounds[last + 1]! > end) kept.push(end, this.#bounds[last + 1]!);
      last += 2;
    }
    this.#bounds.splice(first, last - first, ...kept);
  }

  /** The parts of `range` that are in the set, ascending. */
  within(range: ByteRange): ByteRange[] {
    const end = range.offset + range.length;
    const parts: ByteRange[] = [];
    if (range.length <= 0) return parts;
    for (let at = this.#firstEndingAtOrAfter(range.offset + 1); at < this.#bounds.length && this.#bounds[at]! < end; at += 2) {
      const offset = Math.max(range.offset, this.#bounds[at]!);
      parts.push({ offset, length: Math.min(end, this.#bounds[at + 1]!) - offset });
    }
    return parts;
  }

  /** True when some position of `range` is in the set. */
  touches(range: ByteRange): boolean {
    const at = this.#firstEndingAtOrAfter(range.offset + 1);
    return range.length > 0 && at < this.#bounds.length && this.#bounds[at]! < range.offset + range.length;
  }

  /** All ranges, ascending. */
  toArray(): ByteRange[] {
    return this.within({ offset: 0, length: Number.MAX_SAFE_INTEGER });
  }

  /** Index into the bounds of the first range whose exclusive end is at least `position`. */
  #firstEndingAtOrAfter(position: number): number {
    let low = 0;
    let high = this.#bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#bounds[middle * 2 + 1]! < position) low = middle + 1;
      else high = middle;
    }
    return low * 2;
  }
}
