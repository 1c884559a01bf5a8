import type { Digest } from '#oci';

import { bytesOfColumn } from './column-bytes.js';
import { digestAt, hashAt, putWords, WORDS_PER_DIGEST } from './digest-words.js';
import type { LayerState } from './map-row.js';

/** Rows are kept in blocks of so many: growing moves nothing. */
const BLOCK_BITS = 13;
const BLOCK_ROWS = 1 << BLOCK_BITS;

/** The hashes of a row, each of {@link WORDS_PER_DIGEST} words. */
const [FILE_DIFF_ID, VHD, VERITY, DESCRIBED_DIFF_ID] = [0, 1, 2, 3].map((place) => place * WORDS_PER_DIGEST) as [number, number, number, number];
const HASH_WORDS = 4 * WORDS_PER_DIGEST;
/** The sizes of a row. Of a layer that is not expanded the first is since when, and the second how much is done. */
const [VHD_BYTES, VERITY_OFFSET, DESCRIBED_BYTES] = [0, 1, 2];
const SIZES = 3;
const [SINCE, DONE_BYTES] = [VHD_BYTES, VERITY_OFFSET];
const [IMAGE_COUNT, VERSION, WRITER_VERSION] = [0, 1, 2];
const COUNTS = 3;

const STATES = [undefined, 'wanted', 'expanding', 'expanded', 'refused'] as const;
const STATE_MASK = 7;
const [HAS_DIFF_ID, HAS_VERITY, HAS_DONE_BYTES, DESCRIBED] = [8, 16, 32, 64];

interface Block {
  readonly hashes: Int32Array;
  readonly sizes: Float64Array;
  readonly counts: Int32Array;
  readonly flags: Uint8Array;
}

/** How an image describes a layer besides its digest. */
export interface LayerDescription {
  readonly diffId: Digest;
  readonly sizeBytes: number;
}

/**
 * What is known of layers, by their numbers: 165 bytes a layer, in few large pieces, which the search for garbage passes over. Every row exists; one that nothing was put into is empty.
 * A row's version only grows, also when its number passes from one layer to another.
 */
export class LayerColumns {
  readonly #blocks: Block[] = [];
  /** Why layers were refused: few are. */
  readonly #refusals = new Map<number, string>();

  /** How far the expansion is; undefined while nobody asked for it. Made anew each time. */
  expansion(row: number): LayerState | undefined {
    const block = this.#blocks[row >> BLOCK_BITS];
    const at = row & (BLOCK_ROWS - 1);
    const flags = block?.flags[at] ?? 0;
    const state = STATES[flags & STATE_MASK];
    if (block === undefined || state === undefined) return undefined;
    const size = (which: number): number => block.sizes[at * SIZES + which]!;
    switch (state) {
      case 'wanted':
        return { state, since: new Date(size(SINCE)) };
      case 'expanding':
        return { state, since: new Date(size(SINCE)), doneBytes: (flags & HAS_DONE_BYTES) === 0 ? undefined : size(DONE_BYTES) };
      case 'refused':
        return { state, refusal: this.#refusals.get(row) ?? '' };
      case 'expanded': {
        const hashes = at * HASH_WORDS;
        return {
          state,
          diffId: (flags & HAS_DIFF_ID) === 0 ? undefined : digestAt(block.hashes, hashes + FILE_DIFF_ID),
          writerVersion: block.counts[at * COUNTS + WRITER_VERSION]!,
          vhd: { digest: digestAt(block.hashes, hashes + VHD), sizeBytes: size(VHD_BYTES) },
          verity: (flags & HAS_VERITY) === 0 ? undefined : { rootHash: hashAt(block.hashes, hashes + VERITY), hashOffset: size(VERITY_OFFSET) },
        };
      }
    }
  }

  /** Puts how far the expansion is. @throws {TypeError} for a file whose digests are none. */
  setExpansion(row: number, expansion: LayerState | undefined): void {
    const block = this.#blockFor(row);
    const at = row & (BLOCK_ROWS - 1);
    if (expansion?.state === 'refused') this.#refusals.set(row, expansion.refusal);
    else this.#refusals.delete(row);
    let flags = STATES.indexOf(expansion?.state);
    const put = (which: number, value: number): void => void (block.sizes[at * SIZES + which] = value);
    if (expansion?.state === 'wanted' || expansion?.state === 'expanding') {
      put(SINCE, expansion.since.getTime());
      const doneBytes = expansion.state === 'expanding' ? expansion.doneBytes : undefined;
      if (doneBytes !== undefined) {
        put(DONE_BYTES, doneBytes);
        flags |= HAS_DONE_BYTES;
      }
    } else if (expansion?.state === 'expanded') {
      const { diffId, vhd, verity, writerVersion } = expansion;
      const hash = (which: number, text: string): void => putHash(block, at * HASH_WORDS + which, text);
      hash(VHD, vhd.digest);
      put(VHD_BYTES, vhd.sizeBytes);
      block.counts[at * COUNTS + WRITER_VERSION] = writerVersion;
      if (diffId !== undefined) {
        hash(FILE_DIFF_ID, diffId);
        flags |= HAS_DIFF_ID;
      }
      if (verity !== undefined) {
        hash(VERITY, verity.rootHash);
        put(VERITY_OFFSET, verity.hashOffset);
        flags |= HAS_VERITY;
      }
    }
    block.flags[at] = flags | (block.flags[at]! & DESCRIBED);
    this.changed(row);
  }

  /** Whether anybody asked for the expansion. */
  isAsked(row: number): boolean {
    return ((this.#blocks[row >> BLOCK_BITS]?.flags[row & (BLOCK_ROWS - 1)] ?? 0) & STATE_MASK) !== 0;
  }

  /** Notes a change of what is known of a layer. */
  changed(row: number): void {
    this.#blockFor(row).counts[(row & (BLOCK_ROWS - 1)) * COUNTS + VERSION]! += 1;
  }

  /** How often what is known of a layer has changed, of 2^32. */
  version(row: number): number {
    return this.#blocks[row >> BLOCK_BITS]?.counts[(row & (BLOCK_ROWS - 1)) * COUNTS + VERSION] ?? 0;
  }

  /** How the first image that named the layer described it. Made anew each time. */
  description(row: number): LayerDescription | undefined {
    const block = this.#blocks[row >> BLOCK_BITS];
    const at = row & (BLOCK_ROWS - 1);
    if (block === undefined || (block.flags[at]! & DESCRIBED) === 0) return undefined;
    return { diffId: digestAt(block.hashes, at * HASH_WORDS + DESCRIBED_DIFF_ID), sizeBytes: block.sizes[at * SIZES + DESCRIBED_BYTES]! };
  }

  /** Describes a layer where no image has before. @returns false when one has, and otherwise. */
  describe(row: number, { diffId, sizeBytes }: LayerDescription): boolean {
    const block = this.#blockFor(row);
    const at = row & (BLOCK_ROWS - 1);
    if ((block.flags[at]! & DESCRIBED) !== 0) return block.sizes[at * SIZES + DESCRIBED_BYTES] === sizeBytes && isHash(block, at * HASH_WORDS + DESCRIBED_DIFF_ID, diffId);
    putHash(block, at * HASH_WORDS + DESCRIBED_DIFF_ID, diffId);
    block.sizes[at * SIZES + DESCRIBED_BYTES] = sizeBytes;
    block.flags[at]! |= DESCRIBED;
    return true;
  }

  /** How often images name a layer. */
  imageCount(row: number): number {
    return this.#blocks[row >> BLOCK_BITS]?.counts[(row & (BLOCK_ROWS - 1)) * COUNTS + IMAGE_COUNT] ?? 0;
  }

  /** Counts images that name a layer, or do so no more. */
  countImages(row: number, change: 1 | -1): void {
    this.#blockFor(row).counts[(row & (BLOCK_ROWS - 1)) * COUNTS + IMAGE_COUNT]! += change;
  }

  /** Why layers of some rows were refused, for a snapshot: with their numbers. */
  refusalsOfRows(first: number, count: number): (readonly [number, string])[] {
    if (this.#refusals.size === 0) return [];
    return Array.from({ length: count }, (_, place) => first + place).flatMap((row) => (this.#refusals.has(row) ? [[row, this.#refusals.get(row)!] as const] : []));
  }

  /** Notes why layers were refused whose rows were written as bytes. */
  readRefusals(refusals: Iterable<readonly [number, string]>): void {
    for (const [row, refusal] of refusals) this.#refusals.set(row, refusal);
  }

  /** The columns of some rows that lie in one block, for a snapshot: hashes, sizes, counts and flags. */
  bytesOfRows(first: number, count: number): readonly Uint8Array[] {
    const { hashes, sizes, counts, flags } = this.#blockFor(first);
    const at = first & (BLOCK_ROWS - 1);
    return [bytesOfColumn(hashes, at * HASH_WORDS, count * HASH_WORDS), bytesOfColumn(sizes, at * SIZES, count * SIZES), bytesOfColumn(counts, at * COUNTS, count * COUNTS), bytesOfColumn(flags, at, count)];
  }

  /** Forgets how often images name a layer. */
  clearImageCount(row: number): void {
    this.#blockFor(row).counts[(row & (BLOCK_ROWS - 1)) * COUNTS + IMAGE_COUNT] = 0;
  }

  /** Empties a row that nothing refers to: another layer may get its number. */
  clear(row: number): void {
    const block = this.#blocks[row >> BLOCK_BITS];
    if (block !== undefined) block.flags[row & (BLOCK_ROWS - 1)] = 0;
    this.#refusals.delete(row);
  }

  #blockFor(row: number): Block {
    return (this.#blocks[row >> BLOCK_BITS] ??= {
      hashes: new Int32Array(BLOCK_ROWS * HASH_WORDS),
      sizes: new Float64Array(BLOCK_ROWS * SIZES),
      counts: new Int32Array(BLOCK_ROWS * COUNTS),
      flags: new Uint8Array(BLOCK_ROWS),
    });
  }
}

const COMPARED = new Int32Array(WORDS_PER_DIGEST);

function isHash({ hashes }: Block, at: number, text: string): boolean {
  if (!putWords(text, COMPARED, 0)) return false;
  for (let word = 0; word < WORDS_PER_DIGEST; word += 1) if (hashes[at + word] !== COMPARED[word]) return false;
  return true;
}

function putHash({ hashes }: Block, at: number, text: string): void {
  if (!putWords(text, hashes, at)) throw new TypeError(`${JSON.stringify(text)} is no digest`);
}
