import { type Crc64Register, type Crc64Table, foldBytes } from './crc64-register.js';

/** Parts of the bytes whose registers run side by side: one alone waits for its own look-ups most of the time. */
const LANES = 4;
/** Bytes of a lane before the registers are joined. */
const LANE_BYTES = 1024;

/** The memory: tables, the register that goes in and comes out, and the bytes, of which there is one page's worth and more at a time. */
const SLICES_AT = 0;
const SKIPS_AT = 16_384;
const REGISTER_AT = 32_768;
const WINDOW_AT = 65_536;
const WINDOW_BYTES = 262_144;
const PAGE_BYTES = 65_536;
/** Bytes of a table of 256 entries of 64 bits. */
const TABLE_BYTES = 2048;

/** What is used of WebAssembly: neither the language's nor Node's types declare it. */
interface WebAssemblyGlobal {
  readonly WebAssembly: {
    readonly Memory: new (descriptor: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
    readonly Module: new (code: Uint8Array<ArrayBuffer>) => object;
    readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly fold: (from: number, to: number) => void } };
  };
}

/**
 * CRC-64 in WebAssembly, which has the 64-bit integers that JavaScript lacks: three times as fast as the same in two halves. Eight bytes a step by eight
 * tables ("slicing by 8"), in four lanes; table k of the slices is the effect of a byte with k bytes behind it, table k of the skips that of
 * byte k of a register with a whole lane behind it.
 */
export class Crc64Kernel {
  /** It takes multiples of this. */
  static readonly STEP_BYTES = LANES * LANE_BYTES;
  readonly #window: Uint8Array;
  readonly #register: Int32Array;
  readonly #fold: (from: number, to: number) => void;

  /** Takes half a millisecond. */
  constructor(table: Crc64Table) {
    const { WebAssembly } = globalThis as unknown as WebAssemblyGlobal;
    const memory = new WebAssembly.Memory({ initial: (WINDOW_AT + WINDOW_BYTES) / PAGE_BYTES });
    this.#window = new Uint8Array(memory.buffer, WINDOW_AT, WINDOW_BYTES);
    this.#register = new Int32Array(memory.buffer, REGISTER_AT, 2);
    this.#fold = new WebAssembly.Instance(new WebAssembly.Module(moduleCode()), { host: { memory } }).exports.fold;
    putSlices(new Int32Array(memory.buffer, SLICES_AT, 8 * 512), table);
    putSkips(new Int32Array(memory.buffer, SKIPS_AT, 8 * 512), table);
  }

  /** Takes bytes into the register. @param bytes a multiple of {@link STEP_BYTES} of them. */
  fold(register: Crc64Register, bytes: Uint8Array): void {
    this.#register[0] = register.low;
    this.#register[1] = register.high;
    for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
      const part = bytes.subarray(at, at + WINDOW_BYTES);
      this.#window.set(part);
      this.#fold(WINDOW_AT, WINDOW_AT + part.length);
    }
    register.low = this.#register[0];
    register.high = this.#register[1];
  }
}

/** Entries as the memory has them: low half, high half. */
function putSlices(to: Int32Array, table: Crc64Table): void {
  for (let entry = 0; entry < 8 * 256; entry += 1) {
    const behind = entry < 256 ? { low: entry, high: 0 } : { low: to[(entry - 256) * 2]!, high: to[(entry - 256) * 2 + 1]! };
    foldBytes(behind, ZERO, table);
    to[entry * 2] = behind.low;
    to[entry * 2 + 1] = behind.high;
  }
}

/** A register's bits act each for itself: an entry is the sum of the entries of its bits. */
function putSkips(to: Int32Array, table: Crc64Table): void {
  const lane = new Uint8Array(LANE_BYTES);
  for (let entry = 0; entry < 8 * 256; entry += 1) {
    const byte = entry & 255;
    const rest = byte & (byte - 1);
    if (rest !== 0) {
      const [one, other] = [entry - byte + rest, entry - rest];
      to[entry * 2] = to[one * 2]! ^ to[other * 2]!;
      to[entry * 2 + 1] = to[one * 2 + 1]! ^ to[other * 2 + 1]!;
      continue;
    }
    const shift = (entry >>> 8) * 8;
    const bit = { low: shift < 32 ? byte << shift : 0, high: shift < 32 ? 0 : byte << (shift - 32) };
    foldBytes(bit, lane, table);
    to[entry * 2] = bit.low;
    to[entry * 2 + 1] = bit.high;
  }
}

const ZERO = new Uint8Array(1);

/** Instructions (WebAssembly Core Specification 1.0, section 5.4, "Instructions"). */
const OP = {
  loop: 0x03, end: 0x0b, branchIf: 0x0d, get: 0x20, set: 0x21, tee: 0x22, load64: 0x29, store64: 0x37, const32: 0x41, const64: 0x42,
  less32: 0x49, add32: 0x6a, and32: 0x71, shiftLeft32: 0x74, shiftRight32: 0x76, xor64: 0x85, shiftRight64: 0x88, wrap: 0xa7,
} as const;
const TYPE = { i32: 0x7f, i64: 0x7e, function: 0x60, noBlockResult: 0x40 } as const;
/** Alignments, as powers of two, that loads and stores state. */
const ALIGNED_8 = 3;
const UNALIGNED = 0;

/** Variables of the function: its two parameters first. */
const FROM = 0;
const TO = 1;
const LANE_END = 2;
const LOW_HALF = 3;
const HIGH_HALF = 4;
const CRC = 5;
const WORD = 6;
const FIRST_LANE = 7;

/** The module: `fold(from, to)` takes the bytes of the memory in between, whole steps and at least one, into the register. */
function moduleCode(): Uint8Array<ArrayBuffer> {
  const declarations = [2, 3, TYPE.i32, 2 + LANES, TYPE.i64];
  const body = [...declarations, ...foldCode(), OP.end];
  const text = (name: string): number[] => [name.length, ...Buffer.from(name, 'latin1')];
  const section = (id: number, bytes: readonly number[]): number[] => [id, ...unsigned(bytes.length), ...bytes];
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, TYPE.function, 2, TYPE.i32, TYPE.i32, 0]),
    ...section(2, [1, ...text('host'), ...text('memory'), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('fold'), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

/**
 * ```
 * crc = [register]
 * do {
 *   lane 0 = crc; other lanes = 0; laneEnd = from + LANE_BYTES
 *   do { for each lane: lane = slices of (lane ^ word at from + lane × LANE_BYTES); from += 8 } while (from < laneEnd)
 *   crc = lane 0; for each other lane: crc = skips of crc ^ lane
 *   from += (LANES - 1) × LANE_BYTES
 * } while (from < to)
 * [register] = crc
 * ```
 */
function foldCode(): number[] {
  const lanes = Array.from({ length: LANES }, (_, lane) => FIRST_LANE + lane);
  const others = lanes.slice(1);
  const advance = (bytes: number, limit: number): number[] => [
    OP.get, FROM, OP.const32, ...signed(bytes), OP.add32, OP.tee, FROM, OP.get, limit, OP.less32, OP.branchIf, 0, OP.end,
  ];
  return [
    OP.const32, 0, OP.load64, ALIGNED_8, ...unsigned(REGISTER_AT), OP.set, CRC,
    OP.loop, TYPE.noBlockResult,
    OP.get, CRC, OP.set, FIRST_LANE,
    ...others.flatMap((lane) => [OP.const64, 0, OP.set, lane]),
    OP.get, FROM, OP.const32, ...signed(LANE_BYTES), OP.add32, OP.set, LANE_END,
    OP.loop, TYPE.noBlockResult,
    ...lanes.flatMap((lane, index) => [
      OP.get, FROM, OP.load64, UNALIGNED, ...unsigned(index * LANE_BYTES), OP.get, lane, OP.xor64, OP.set, WORD,
      ...lookUps(WORD, (byte) => SLICES_AT + (7 - byte) * TABLE_BYTES), OP.set, lane,
    ]),
    ...advance(8, LANE_END),
    OP.get, FIRST_LANE, OP.set, CRC,
    ...others.flatMap((lane) => [...lookUps(CRC, (byte) => SKIPS_AT + byte * TABLE_BYTES), OP.get, lane, OP.xor64, OP.set, CRC]),
    ...advance((LANES - 1) * LANE_BYTES, TO),
    OP.const32, 0, OP.get, CRC, OP.store64, ALIGNED_8, ...unsigned(REGISTER_AT),
  ];
}

/** Leaves the sum of the entries that the eight bytes of a variable have in a table each. */
function lookUps(variable: number, tableAt: (byte: number) => number): number[] {
  const code: number[] = [
    OP.get, variable, OP.wrap, OP.set, LOW_HALF,
    OP.get, variable, OP.const64, ...signed(32), OP.shiftRight64, OP.wrap, OP.set, HIGH_HALF,
  ];
  for (let byte = 0; byte < 8; byte += 1) {
    const shift = (byte % 4) * 8 - 3;
    // The offset of an entry is its byte times eight: one shift does both.
    code.push(OP.get, byte < 4 ? LOW_HALF : HIGH_HALF, OP.const32, ...signed(Math.abs(shift)), shift < 0 ? OP.shiftLeft32 : OP.shiftRight32);
    code.push(OP.const32, ...signed(255 * 8), OP.and32, OP.load64, ALIGNED_8, ...unsigned(tableAt(byte)));
    if (byte > 0) code.push(OP.xor64);
  }
  return code;
}

/** LEB128 of a number of 0 or more. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

/** Signed LEB128 of a number of 0 or more: its last byte's bit 6 is the sign, and stays clear. */
function signed(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128, ...signed(value >>> 7)];
}
