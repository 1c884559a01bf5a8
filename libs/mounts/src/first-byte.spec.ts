import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MiB } from '#quantities';

import { blobFirstByteMs, mountFirstByteMs, UNPACK_BYTES_PER_SECOND } from './first-byte.js';

const link = fc.record({ roundTripMs: fc.double({ min: 0.1, max: 500, noNaN: true }), throughputBytesPerSecond: fc.double({ min: 1e5, max: 1e10, noNaN: true }) });

describe('the time to the first byte', () => {
  it('of a mount follows the distance and not the size, of a blob both', () => {
    const near = { roundTripMs: 1, throughputBytesPerSecond: 250e6 };
    const far = { roundTripMs: 100, throughputBytesPerSecond: 250e6 };
    expect(mountFirstByteMs(far)).toBeCloseTo(1202.1, 1);
    expect(mountFirstByteMs(near)).toBeCloseTo(14.1, 1);
    expect(blobFirstByteMs(50 * MiB, far)).toBeCloseTo(1500, 5);
    expect(blobFirstByteMs(500 * MiB, far)).toBeCloseTo(10_500, 5);
  });

  it('of a blob is never below that of what a node unpacks, however fast the link', () => {
    fc.assert(fc.property(link, fc.integer({ min: 0, max: 1e10 }), (over, sizeBytes) => blobFirstByteMs(sizeBytes, over) >= (sizeBytes / UNPACK_BYTES_PER_SECOND) * 1000));
  });

  it('grows with distance, with size and with slowness', () => {
    fc.assert(fc.property(link, fc.integer({ min: 0, max: 1e9 }), (over, sizeBytes) => {
      const slower = { roundTripMs: over.roundTripMs * 2, throughputBytesPerSecond: over.throughputBytesPerSecond / 2 };
      return mountFirstByteMs(slower) > mountFirstByteMs(over) && blobFirstByteMs(sizeBytes, slower) >= blobFirstByteMs(sizeBytes, over)
        && blobFirstByteMs(sizeBytes + MiB, over) > blobFirstByteMs(sizeBytes, over);
    }));
  });
});
