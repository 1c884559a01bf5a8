import type { Digest } from '#oci';

import { bytesOfColumn } from './column-bytes.js';
import { digestAt, putWords, WORDS_PER_DIGEST } from './digest-words.js';

/** Digests are kept in blocks of so many: growing moves nothing, and no turn copies more than one. */
const BLOCK_BITS = 14;
const BLOCK_MASK = (1 << BLOCK_BITS) - 1;
/** Slots that a table begins with; always a power of two, and at least twice as many as there are digests. */
const SLOTS_MIN = 1024;
const NONE = -1;

/**
 * Numbers digests: each has a small number for as long as it is kept, and numbers that are free are given again. 40 to 48 bytes for each, outside of the heap that is searched for garbage.
 * Where a digest is looked for depends on numbers drawn at random by this process: who chooses digests cannot choose many that lie in one place.
 */
export class DigestTable {
  readonly #seeds = crypto.getRandomValues(new Int32Array(WORDS_PER_DIGEST)).map((seed) => seed | 1);
  readonly #asked = new Int32Array(WORDS_PER_DIGEST);
  readonly #blocks: Int32Array[] = [];
  readonly #free: number[] = [];
  /** By place: one more than the number that lies there, or 0. */
  #slots = new Int32Array(SLOTS_MIN);
  #end = 0;

  /** How many digests it has. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  /** One more than the highest number that was ever given. */
  get end(): number {
    return this.#end;
  }

  /** The number of a digest; -1 for one that is not kept, and for a text that is none. */
  find(digest: Digest): number {
    if (!putWords(digest, this.#asked, 0)) return NONE;
    return this.#slots[this.#placeOf(this.#asked, 0)]! - 1;
  }

  /** The number of a digest, which is kept from now on. @throws {TypeError} for a text that is none: whoever wrote it is wrong. */
  add(digest: Digest): number {
    if (!putWords(digest, this.#asked, 0)) throw new TypeError(`${JSON.stringify(digest)} is no digest`);
    let place = this.#placeOf(this.#asked, 0);
    const known = this.#slots[place]! - 1;
    if (known >= 0) return known;
    if ((this.size + 1) * 2 > this.#slots.length) {
      this.#widen();
      place = this.#placeOf(this.#asked, 0);
    }
    const number = this.#free.pop() ?? this.#end++;
    this.#blockFor(number).set(this.#asked, (number & BLOCK_MASK) * WORDS_PER_DIGEST);
    this.#slots[place] = number + 1;
    return number;
  }

  /** Gives a number back that is in use. */
  remove(number: number): void {
    const mask = this.#slots.length - 1;
    let hole = this.#placeOf(this.#blockOf(number), wordsAt(number));
    // What lies behind moves up, unless it lies where it is looked for first or later than the hole (Knuth, 6.4, algorithm R).
    for (let place = (hole + 1) & mask; this.#slots[place] !== 0; place = (place + 1) & mask) {
      const other = this.#slots[place]! - 1;
      const home = this.#homeOf(this.#blockOf(other), wordsAt(other));
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      this.#slots[hole] = other + 1;
      hole = place;
    }
    this.#slots[hole] = 0;
    this.#free.push(number);
  }

  /** The digest of a number that is in use. */
  textOf(number: number): Digest {
    return digestAt(this.#blockOf(number), wordsAt(number));
  }

  /** The digests of some rows that lie in one block, for a snapshot: 32 bytes each. Rows that are written by them have numbers up to the last, and are not known by their digests before {@link index}. */
  bytesOfRows(first: number, count: number): Uint8Array {
    this.#end = Math.max(this.#end, first + count);
    return bytesOfColumn(this.#blockFor(first), wordsAt(first), count * WORDS_PER_DIGEST);
  }

  /** Makes digests known that were written as bytes, each of them once; numbers that are not used are free. */
  index(isUsed: (number: number) => boolean): void {
    let slots = SLOTS_MIN;
    while (slots < (this.#end + 1) * 2) slots *= 2;
    this.#slots = new Int32Array(slots);
    this.#free.length = 0;
    for (let number = this.#end - 1; number >= 0; number -= 1) {
      if (isUsed(number)) this.#slots[this.#placeOf(this.#blockOf(number), wordsAt(number))] = number + 1;
      else this.#free.push(number);
    }
  }

  #blockFor(number: number): Int32Array {
    return (this.#blocks[number >> BLOCK_BITS] ??= new Int32Array(WORDS_PER_DIGEST << BLOCK_BITS));
  }

  #blockOf(number: number): Int32Array {
    return this.#blocks[number >> BLOCK_BITS]!;
  }

  /** Where the digest lies, or would. */
  #placeOf(words: Int32Array, at: number): number {
    const mask = this.#slots.length - 1;
    for (let place = this.#homeOf(words, at); ; place = (place + 1) & mask) {
      const number = this.#slots[place]! - 1;
      if (number < 0 || this.#holds(number, words, at)) return place;
    }
  }

  #holds(number: number, words: Int32Array, at: number): boolean {
    const block = this.#blockOf(number);
    const own = wordsAt(number);
    for (let word = 0; word < WORDS_PER_DIGEST; word += 1) if (block[own + word] !== words[at + word]) return false;
    return true;
  }

  /** Where a digest is looked for first: the upper bits of a sum of products with odd numbers that nobody else knows. */
  #homeOf(words: Int32Array, at: number): number {
    let sum = 0;
    for (let word = 0; word < WORDS_PER_DIGEST; word += 1) sum = (sum + Math.imul(words[at + word]!, this.#seeds[word]!)) | 0;
    return sum >>> (Math.clz32(this.#slots.length) + 1);
  }

  /** A turn of some 50 ms for a million digests, once in a doubling. */
  #widen(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(before.length * 2);
    for (const slot of before) if (slot !== 0) this.#slots[this.#placeOf(this.#blockOf(slot - 1), wordsAt(slot - 1))] = slot;
  }
}

function wordsAt(number: number): number {
  return (number & BLOCK_MASK) * WORDS_PER_DIGEST;
}
