import { refuseEntry, refuseSize } from './expansion-error.js';
import { MAX_SPARSE_SEGMENTS } from './expansion-limits.js';
import type { PaxRecords } from './pax-records.js';
import type { TarSink } from './tar-entry.js';
import { readTarNumber } from './tar-header.js';

/** A run of stored bytes, and where it stands in the file; the rest of the file is zeros. */
interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** What the older of GNU's forms put into headers: four segments in the first, 21 in each block that follows it. */
const FIRST_SEGMENTS = { offset: 386, count: 4, extendedAt: 482 };
const FURTHER_SEGMENTS = { offset: 0, count: 21, extendedAt: 504 };
const REAL_SIZE_AT = 483;
const NUMBER_BYTES = 12;
/** Digits of a number in a map: more than 2⁶⁴ has. */
const MAX_DIGITS = 20;

/**
 * The map of one sparse file, in the forms that GNU tar has had (GNU tar manual, "Storing Sparse Files"): in header blocks (type `S`), in pax
 * records (0.0: one for each number, 0.1: one list), and in front of the contents (1.0: decimal numbers in lines, padded to a block).
 * It gives the contents to the sink with their holes in between.
 */
export class SparseFile {
  readonly realSizeBytes: number;
  readonly #entry: string;
  readonly #segments: Segment[] = [];
  /** Of a map in front of the contents: the line that the block before broke off, the offset that waits for its length, and the numbers to come. */
  #line = '';
  #offset: number | undefined;
  #numbersMissing: number | undefined;
  #position = 0;
  #next = 0;
  #inSegment = 0;

  private constructor(entry: string, realSizeBytes: number | undefined) {
    this.#entry = entry;
    if (realSizeBytes === undefined || !Number.isSafeInteger(realSizeBytes) || realSizeBytes < 0) throw this.#malformed();
    this.realSizeBytes = realSizeBytes;
  }

  /** A file whose header is of type `S`. @returns it, and whether further header blocks follow. */
  static ofHeader(block: Buffer, entry: string): { readonly file: SparseFile; readonly isExtended: boolean } {
    const file = new SparseFile(entry, readTarNumber(block, REAL_SIZE_AT, NUMBER_BYTES));
    return { file, isExtended: file.#takeBlock(block, FIRST_SEGMENTS) };
  }

  /**
   * A file of a pax form; undefined when the records say nothing of one, or of a version that is not known: older ones name none, and have a map.
   * The same test that Go's archive/tar makes.
   * @returns it, and whether its map stands in front of its contents.
   */
  static ofRecords(records: PaxRecords, entry: string): { readonly file: SparseFile; readonly hasMapInContents: boolean } | undefined {
    const text = (name: string): string | undefined => records.get(`GNU.sparse.${name}`)?.toString('latin1');
    const size = text('realsize') ?? text('size');
    const version = `${text('major') ?? ''}.${text('minor') ?? ''}`;
    const hasMapInContents = version === '1.0';
    if (size === undefined || !(hasMapInContents || version === '0.0' || version === '0.1' || (version === '.' && (text('map') ?? '') !== ''))) return undefined;
    const file = new SparseFile(entry, decimal(size));
    const numbers = hasMapInContents ? [] : (text('map') ?? '').split(',').filter((number) => number !== '');
    file.#takeNumbers(numbers);
    return { file, hasMapInContents };
  }

  /** Takes a further header block. @returns whether yet another follows. */
  takeHeader(block: Buffer): boolean {
    return this.#takeBlock(block, FURTHER_SEGMENTS);
  }

  /** Takes a block of the map in front of the contents. @returns whether it goes on. */
  takeMapBlock(block: Buffer): boolean {
    const lines = (this.#line + block.toString('latin1')).split('\n');
    this.#line = lines.pop()!;
    for (const line of lines) {
      if (this.#numbersMissing === 0) break;
      this.#takeLine(decimal(line));
    }
    if (this.#numbersMissing === 0) return false;
    if (this.#line.length > MAX_DIGITS) throw this.#malformed();
    return true;
  }

  /** Holds the map against the number of bytes that are stored. @throws {ExpansionError} `TAR_INVALID` when they do not agree. */
  checkStored(sizeBytes: number): void {
    let end = 0;
    let total = 0;
    for (const { offset, length } of this.#segments) {
      if (offset < end || offset + length > this.realSizeBytes) throw this.#malformed();
      end = offset + length;
      total += length;
    }
    if (total !== sizeBytes) throw this.#malformed();
  }

  /** Hands stored bytes on, and the holes before and between them. */
  contents(bytes: Buffer, sink: TarSink): void {
    for (let at = 0; at < bytes.length; ) {
      const segment = this.#segments[this.#next]!;
      const count = Math.min(bytes.length - at, segment.length - this.#inSegment);
      if (count > 0) {
        this.#hole(segment.offset + this.#inSegment, sink);
        sink.contents(bytes.subarray(at, at + count));
        this.#position += count;
        this.#inSegment += count;
        at += count;
      }
      if (this.#inSegment === segment.length) {
        this.#next += 1;
        this.#inSegment = 0;
      }
    }
  }

  /** Hands on the hole at the end. */
  end(sink: TarSink): void {
    this.#hole(this.realSizeBytes, sink);
  }

  #hole(upTo: number, sink: TarSink): void {
    if (upTo > this.#position) sink.hole(upTo - this.#position);
    this.#position = upTo;
  }

  #takeBlock(block: Buffer, place: typeof FIRST_SEGMENTS): boolean {
    for (let index = 0; index < place.count; index += 1) {
      const at = place.offset + index * 2 * NUMBER_BYTES;
      if (block[at] === 0) break;
      this.#take(readTarNumber(block, at, NUMBER_BYTES), readTarNumber(block, at + NUMBER_BYTES, NUMBER_BYTES));
    }
    return block[place.extendedAt] !== 0;
  }

  /** A line of the map in front of the contents: first the number of segments, then an offset and a length for each. */
  #takeLine(number: number | undefined): void {
    if (number === undefined) throw this.#malformed();
    if (this.#numbersMissing === undefined) {
      if (number > MAX_SPARSE_SEGMENTS) throw refuseSize('MAX_SPARSE_SEGMENTS', MAX_SPARSE_SEGMENTS, this.#entry);
      this.#numbersMissing = 2 * number;
      return;
    }
    this.#numbersMissing -= 1;
    if (this.#offset === undefined) {
      this.#offset = number;
    } else {
      this.#take(this.#offset, number);
      this.#offset = undefined;
    }
  }

  #takeNumbers(numbers: readonly string[]): void {
    if (numbers.length % 2 !== 0) throw this.#malformed();
    for (let index = 0; index < numbers.length; index += 2) this.#take(decimal(numbers[index]!), decimal(numbers[index + 1]!));
  }

  #take(offset: number | undefined, length: number | undefined): void {
    if (offset === undefined || length === undefined || offset < 0 || length < 0) throw this.#malformed();
    if (this.#segments.length === MAX_SPARSE_SEGMENTS) throw refuseSize('MAX_SPARSE_SEGMENTS', MAX_SPARSE_SEGMENTS, this.#entry);
    this.#segments.push({ offset, length });
  }

  #malformed(): Error {
    return refuseEntry('TAR_INVALID', this.#entry, 'is a sparse file whose map is malformed');
  }
}

function decimal(text: string): number | undefined {
  const number = Number(text);
  return text.length <= MAX_DIGITS && /^[0-9]+$/.test(text) && Number.isSafeInteger(number) ? number : undefined;
}
