import { describe, expect, it } from 'vitest';

import { isRegionName } from './region.js';

describe('isRegionName', () => {
  it.each(['westeurope', 'us-east-1', 'a', '9', 'a'.repeat(64)])('takes %j', (name) => {
    expect(isRegionName(name)).toBe(true);
  });

  it.each(['', '-east', 'east-', 'East', 'west europe', 'west_europe', 'a'.repeat(65), 'eastus\n', '../etc'])('refuses %j', (name) => {
    expect(isRegionName(name)).toBe(false);
  });
});
