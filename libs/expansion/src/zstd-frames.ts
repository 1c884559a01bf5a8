import { refuseSize } from './expansion-error.js';
import { MAX_ZSTD_WINDOW_BYTES } from './expansion-limits.js';

/** Magic numbers of a frame, and of a skippable frame whose last four bits are free (RFC 8878, sections 3.1.1 and 3.1.2). */
const FRAME_MAGIC = 0xfd2f_b528;
const SKIPPABLE_MAGIC = 0x184d_2a50;
const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
/** The longest of the parts that are read here: a frame's header with window, dictionary and content size. */
const MAX_FIXED_BYTES = 13;
const BLOCK_TYPE_RLE = 1;
const BLOCK_TYPE_RESERVED = 3;

/** Whether a zstd stream may begin with this number (little-endian): that of a frame or of a skippable one. */
export function isZstdMagic(magic: number): boolean {
  return magic === FRAME_MAGIC || (magic & 0xffff_fff0) >>> 0 === SKIPPABLE_MAGIC;
}

/** What the bytes that come next are. `skip…` parts belong to skippable frames and are not handed on. */
type Part = 'magic' | 'descriptor' | 'header' | 'blockHeader' | 'block' | 'checksum' | 'skipLength' | 'skip';

/**
 * Cuts a zstd stream where its frames end (RFC 8878, section 3.1), and leaves skippable frames out. Node's decompressor drops what follows
 * the end of a frame in the same buffer, so it must never get two frames in one: layers in zstd:chunked form have a frame per file.
 */
export class ZstdFrames {
  readonly #fixed = Buffer.alloc(MAX_FIXED_BYTES);
  #fixedFilled = 0;
  #part: Part = 'magic';
  #left = MAGIC_BYTES;
  #hasChecksum = false;
  #isSingleSegment = false;
  #contentSizeBytes = 0;
  #headerBytes = 0;
  #isLastBlock = false;

  /** True between frames: the stream may end here. */
  get isAtFrameEnd(): boolean {
    return this.#part === 'magic' && this.#fixedFilled === 0;
  }

  /**
   * The parts of the next bytes that a decompressor shall get, each of one frame alone.
   * @throws {RangeError} for bytes that are no zstd stream; {ExpansionError} `TOO_LARGE` for a frame that takes more memory to decode than it may.
   */
  *cut(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(this.#left, chunk.length - at);
      if (isFixed(this.#part)) this.#fixedFilled += chunk.copy(this.#fixed, this.#fixedFilled, at, at + count);
      at += count;
      this.#left -= count;
      const before = this.#part;
      while (this.#left === 0) this.#next();
      if (before === 'magic' && this.#part === 'descriptor') {
        // A magic number that began in the chunk before was not handed on yet.
        if (at < MAGIC_BYTES) yield Buffer.from(this.#fixed.subarray(0, MAGIC_BYTES));
        from = at < MAGIC_BYTES ? at : at - MAGIC_BYTES;
      } else if (before !== 'skip' && before !== 'skipLength' && this.#part === 'magic' && before !== 'magic') {
        yield chunk.subarray(from, at);
        from = at;
      }
    }
    const inFrame = this.#part !== 'magic' && this.#part !== 'skipLength' && this.#part !== 'skip';
    if (inFrame && from < chunk.length) yield chunk.subarray(from);
  }

  /** What follows a part that is complete. */
  #next(): void {
    const fixed = this.#fixed;
    this.#fixedFilled = 0;
    switch (this.#part) {
      case 'magic': {
        const magic = fixed.readUInt32LE(0);
        if (magic === FRAME_MAGIC) this.#begin('descriptor', 1);
        else if ((magic & 0xffff_fff0) >>> 0 === SKIPPABLE_MAGIC) this.#begin('skipLength', 4);
        else throw new RangeError('the stream has neither a zstd frame nor its end where one must be');
        break;
      }
      case 'descriptor': {
        const descriptor = fixed[0]!;
        this.#hasChecksum = (descriptor & 4) !== 0;
        this.#isSingleSegment = (descriptor & 0x20) !== 0;
        const sizeFlag = descriptor >> 6;
        this.#contentSizeBytes = sizeFlag === 0 ? Number(this.#isSingleSegment) : 1 << sizeFlag;
        this.#begin('header', Number(!this.#isSingleSegment) + [0, 1, 2, 4][descriptor & 3]! + this.#contentSizeBytes);
        break;
      }
      case 'header':
        if (this.#windowBytes() > MAX_ZSTD_WINDOW_BYTES) throw refuseSize('MAX_ZSTD_WINDOW_BYTES', MAX_ZSTD_WINDOW_BYTES);
        this.#begin('blockHeader', BLOCK_HEADER_BYTES);
        break;
      case 'blockHeader': {
        const header = fixed.readUIntLE(0, BLOCK_HEADER_BYTES);
        const type = (header >> 1) & 3;
        if (type === BLOCK_TYPE_RESERVED) throw new RangeError('the zstd stream has a block of a reserved type');
        this.#isLastBlock = (header & 1) === 1;
        this.#begin('block', type === BLOCK_TYPE_RLE ? 1 : header >> 3);
        break;
      }
      case 'block':
        if (!this.#isLastBlock) this.#begin('blockHeader', BLOCK_HEADER_BYTES);
        else if (this.#hasChecksum) this.#begin('checksum', 4);
        else this.#begin('magic', MAGIC_BYTES);
        break;
      case 'skipLength':
        this.#begin('skip', fixed.readUInt32LE(0));
        break;
      case 'checksum':
      case 'skip':
        this.#begin('magic', MAGIC_BYTES);
        break;
    }
  }

  /** What a decoder must hold (RFC 8878, section 3.1.1.1.2): a power of two and some eighths of it, or the whole content of a single segment. */
  #windowBytes(): number {
    if (!this.#isSingleSegment) {
      const descriptor = this.#fixed[0]!;
      return 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8);
    }
    const at = this.#headerBytes - this.#contentSizeBytes;
    if (this.#contentSizeBytes === 8) return Number(this.#fixed.readBigUInt64LE(at));
    return this.#fixed.readUIntLE(at, this.#contentSizeBytes);
  }

  #begin(part: Part, bytes: number): void {
    if (part === 'header') this.#headerBytes = bytes;
    this.#part = part;
    this.#left = bytes;
  }
}

/** Parts whose bytes are read here. */
function isFixed(part: Part): boolean {
  return part === 'magic' || part === 'descriptor' || part === 'header' || part === 'blockHeader' || part === 'skipLength';
}
