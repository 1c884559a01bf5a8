import { StorageCRC64Calculator } from '@azure/storage-common';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { crc64Of, RunningCrc64 } from './crc64.js';

function azureCrc64(bytes: Uint8Array): string {
  const calculator = new StorageCRC64Calculator();
  return Buffer.from(calculator.final(bytes, bytes.length)).toString('base64');
}

describe('crc64Of', () => {
  beforeAll(() => StorageCRC64Calculator.init());

  it('gives the values that the real service returned for 512 bytes', () => {
    expect(crc64Of(Buffer.alloc(512, 'a'))).toBe('u661BimQ84c=');
    expect(crc64Of(Buffer.alloc(512, 'b'))).toBe('zGf3rvhKPeA=');
  });

  it('equals the calculator of the Azure SDK for any bytes at any alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 20 }), (bytes, start) => {
        const view = bytes.subarray(Math.min(start, bytes.length));
        expect(crc64Of(view)).toBe(azureCrc64(view));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same for bytes that come in parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 9000 }), fc.array(fc.nat({ max: 9000 }), { maxLength: 4 }), (bytes, cuts) => {
        const running = new RunningCrc64();
        const edges = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
        for (const [index, edge] of edges.slice(1).entries()) running.update(bytes.subarray(edges[index], edge));
        expect(running.digest()).toBe(crc64Of(bytes));
      }),
      { numRuns: 100 },
    );
  });

  it('equals the calculator of the Azure SDK for lengths around whole steps, at any alignment', () => {
    const bytes = Buffer.alloc(700_000);
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = (at * 2_654_435_761) >>> 11;
    fc.assert(
      fc.property(fc.constantFrom(4096, 8192, 262_144, 266_240, 524_288), fc.integer({ min: -20, max: 20 }), fc.nat({ max: 20 }), (length, more, start) => {
        const view = bytes.subarray(start, start + length + more);
        expect(crc64Of(view)).toBe(azureCrc64(view));
      }),
      { numRuns: 200 },
    );
  });

  it('equals the calculator of the Azure SDK for a whole piece and for one byte less', () => {
    const piece = Buffer.alloc(4 * 1024 * 1024);
    for (let at = 0; at < piece.length; at += 1) piece[at] = (at * 2_654_435_761) >>> 13;
    expect(crc64Of(piece)).toBe(azureCrc64(piece));
    expect(crc64Of(piece.subarray(1))).toBe(azureCrc64(piece.subarray(1)));
  });
});
