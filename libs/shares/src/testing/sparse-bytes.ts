import { ByteRangeSet } from '../byte-ranges.js';
import type { ByteRange } from '../share.js';

/** Bytes held together: small enough that a file with few written ranges takes little memory. */
const PAGE_BYTES = 64 * 1024;
/** What Azure Files rounds written ranges to. */
const GRANULARITY_BYTES = 512;

/** The content of one file in memory: only pages that were written take room, everything else reads as zero. */
export class SparseBytes {
  #sizeBytes = 0;
  readonly #pages = new Map<number, Buffer>();
  readonly #written = new ByteRangeSet();

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) {
      const tail = { offset: sizeBytes, length: this.#sizeBytes - sizeBytes };
      for (const part of this.#written.within(tail)) this.#eachPage(part, (page) => page.fill(0));
      const kept = Math.ceil(sizeBytes / GRANULARITY_BYTES) * GRANULARITY_BYTES;
      this.#written.remove({ offset: kept, length: Number.MAX_SAFE_INTEGER - kept });
    }
    this.#sizeBytes = sizeBytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    let at = 0;
    this.#eachPage({ offset, length: bytes.length }, (page) => {
      page.set(bytes.subarray(at, at + page.length));
      at += page.length;
    });
    const start = Math.floor(offset / GRANULARITY_BYTES) * GRANULARITY_BYTES;
    const end = Math.ceil((offset + bytes.length) / GRANULARITY_BYTES) * GRANULARITY_BYTES;
    this.#written.add({ offset: start, length: end - start });
  }

  read(range: ByteRange): Buffer {
    const result = Buffer.alloc(range.length);
    for (const part of this.#written.within(range)) {
      let at = part.offset - range.offset;
      this.#eachPage(part, (page) => {
        result.set(page, at);
        at += page.length;
      });
    }
    return result;
  }

  dataRanges(): ByteRange[] {
    return this.#written.within({ offset: 0, length: this.#sizeBytes });
  }

  /** Calls `visit` with the part of every page that `range` covers, in order; absent pages are made. */
  #eachPage(range: ByteRange, visit: (page: Buffer) => void): void {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end;) {
      const index = Math.floor(at / PAGE_BYTES);
      let page = this.#pages.get(index);
      if (page === undefined) {
        page = Buffer.alloc(PAGE_BYTES);
        this.#pages.set(index, page);
      }
      const start = at - index * PAGE_BYTES;
      const stop = Math.min(PAGE_BYTES, end - index * PAGE_BYTES);
      visit(page.subarray(start, stop));
      at = index * PAGE_BYTES + stop;
    }
  }
}
