import { Crc64Kernel } from './crc64-kernel.js';
import { byteTable, type Crc64Register, foldBytes } from './crc64-register.js';
import type { Crc64 } from './share.js';

const TABLE = byteTable();
let kernel: Crc64Kernel | undefined;

/** The CRC64 of bytes that are in memory, as Azure Storage computes and writes it. Cost: about 0.4 ns a byte; any length, the empty one too. */
export function crc64Of(bytes: Uint8Array): Crc64 {
  const register: Crc64Register = { low: -1, high: -1 };
  const stepped = bytes.length - (bytes.length % Crc64Kernel.STEP_BYTES);
  if (stepped > 0) {
    kernel ??= new Crc64Kernel(TABLE);
    kernel.fold(register, bytes.subarray(0, stepped));
  }
  foldBytes(register, bytes.subarray(stepped), TABLE);
  const result = Buffer.alloc(8);
  result.writeInt32LE(~register.low, 0);
  result.writeInt32LE(~register.high, 4);
  return result.toString('base64');
}
