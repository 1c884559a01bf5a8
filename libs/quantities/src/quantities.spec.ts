import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { alignUp, formatBytes, GiB, parseBytes } from './bytes.js';
import { DAY_MS, formatDuration, MINUTE_MS, parseDuration } from './durations.js';

describe('sizes', () => {
  it('are read with binary, decimal or no unit', () => {
    expect(parseBytes('100GiB')).toBe(100 * GiB);
    expect(parseBytes('1.5 GB')).toBe(1_500_000_000);
    expect(parseBytes('512')).toBe(512);
  });

  it.each(['', '-1', '1 XB', 'GiB', '1e3', '9999999TiB', '1 GiB 2'])('are refused when they are %j', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });

  it('are written with three digits', () => {
    expect(formatBytes(0)).toBe('0 B');
    expect(formatBytes(122_683_392)).toBe('117 MiB');
  });

  it('align upwards to the next whole multiple', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 22 }), (value, unit) => {
        const aligned = alignUp(value, unit);
        expect(aligned % unit).toBe(0);
        expect(aligned - value).toBeGreaterThanOrEqual(0);
        expect(aligned - value).toBeLessThan(unit);
      }),
    );
  });
});

describe('durations', () => {
  it('are read with a unit, and refused without one', () => {
    expect(parseDuration('15m')).toBe(15 * MINUTE_MS);
    expect(parseDuration('1.5 d')).toBe(1.5 * DAY_MS);
    expect(parseDuration('90')).toBeUndefined();
    expect(parseDuration('-1s')).toBeUndefined();
  });

  it('are written in the largest fitting unit', () => {
    expect([840, 12_400, 192_000, DAY_MS].map(formatDuration)).toEqual(['840 ms', '12.4 s', '3.2 min', '1 d']);
  });
});
