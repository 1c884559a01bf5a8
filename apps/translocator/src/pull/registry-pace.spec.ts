import { describe, expect, it } from 'vitest';

import { PATIENCE_RATIO, RegistryPace } from './registry-pace.js';

describe('the pace of a registry', () => {
  it('is not known before its first answer, and then is what it usually takes', () => {
    const pace = new RegistryPace();
    expect(pace.patienceMs).toBe(Number.POSITIVE_INFINITY);
    pace.took(10);
    expect(pace.patienceMs).toBe(10 * PATIENCE_RATIO);
    pace.took(110);
    expect(pace.patienceMs).toBeCloseTo(20 * PATIENCE_RATIO);
    for (let n = 0; n < 100; n += 1) pace.took(50);
    expect(pace.patienceMs / PATIENCE_RATIO).toBeCloseTo(50, 1);
  });
});
