/** The polynomial of Azure Storage's CRC-64, reflected, in two 32-bit halves: 0x9A6C9329AC4BC9B5 (initial value and final xor: all ones). */
const POLYNOMIAL_HIGH = 0x9a6c9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;

/** The register of a CRC-64 under way: two signed 32-bit halves, changed in place. */
export interface Crc64Register {
  low: number;
  high: number;
}

/** The effect of each byte on the register, in its two halves. */
export interface Crc64Table {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

/** Computes the table, entry by entry. */
export function byteTable(): Crc64Table {
  const table = { low: new Int32Array(256), high: new Int32Array(256) };
  for (let byte = 0; byte < 256; byte += 1) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit += 1) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry === 1) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    table.low[byte] = low;
    table.high[byte] = high;
  }
  return table;
}

/** Takes bytes one at a time: some ns each. */
export function foldBytes(register: Crc64Register, bytes: Uint8Array, table: Crc64Table): void {
  let { low, high } = register;
  for (const byte of bytes) {
    const entry = (low ^ byte) & 255;
    low = table.low[entry]! ^ ((low >>> 8) | (high << 24));
    high = table.high[entry]! ^ (high >>> 8);
  }
  register.low = low;
  register.high = high;
}
