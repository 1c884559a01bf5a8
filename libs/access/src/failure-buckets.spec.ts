import { describe, expect, it } from 'vitest';

import { FAILING_ADDRESSES_MAX, FailureBuckets, FAILURES_BURST } from './failure-buckets.js';

function exhausted(address: string, buckets = new FailureBuckets()): FailureBuckets {
  for (let count = 0; count < FAILURES_BURST; count += 1) expect(buckets.failed(address, 0)).toBe(0);
  return buckets;
}

describe('the failures of an address', () => {
  it('are let through up to a burst, then two a second', () => {
    const buckets = exhausted('10.0.0.1');
    expect(buckets.failed('10.0.0.1', 0)).toBe(500);
    expect(buckets.failed('10.0.0.1', 200)).toBe(300);
    expect(buckets.failed('10.0.0.1', 500)).toBe(0);
    expect(buckets.failed('10.0.0.1', 500)).toBe(500);
    expect(buckets.failed('10.0.0.1', 3_600_000)).toBe(0);
  });

  it('are not those of another, but those of everybody in the same IPv6 /64', () => {
    const buckets = exhausted('2001:db8:1:2::1');
    expect(buckets.failed('10.0.0.1', 0)).toBe(0);
    expect(buckets.failed('2001:db8:1:3::1', 0)).toBe(0);
    for (const same of ['2001:db8:1:2:ffff::9', '2001:0db8:0001:0002:0:0:0:5']) expect(buckets.failed(same, 0)).toBe(500);
    const mapped = exhausted('::ffff:10.1.1.1');
    expect(mapped.failed('10.1.1.1', 0)).toBe(500);
  });

  it('can be asked about without being counted', () => {
    const buckets = new FailureBuckets();
    for (let count = 0; count < 100; count += 1) expect(buckets.waitMs('10.0.0.1', 0)).toBe(0);
    expect(exhausted('10.0.0.1', buckets).waitMs('10.0.0.1', 0)).toBe(500);
  });

  it('are neither forgiven nor made worse by a clock that is set back', () => {
    const buckets = exhausted('10.0.0.1');
    expect(buckets.failed('10.0.0.1', -60_000)).toBe(500);
    expect(buckets.failed('10.0.0.1', -59_500)).toBe(0);
  });

  it('are forgotten, the oldest first, beyond a bound', () => {
    const buckets = exhausted('first');
    for (let count = 0; count < FAILING_ADDRESSES_MAX + 5; count += 1) buckets.failed(`address-${count}`, 0);
    expect(buckets.size).toBe(FAILING_ADDRESSES_MAX);
    expect(buckets.failed('first', 0)).toBe(0);
  });
});
