import { describe, expect, it } from 'vitest';

import { isRepositoryPattern, matchesPattern } from './repository-pattern.js';

describe('a repository pattern', () => {
  it('is a name, the beginning of one with a star, or a star', () => {
    expect(['team/app', 'team/*', 'team*', '*'].map(isRepositoryPattern)).toEqual([true, true, true, true]);
    expect(['Team/*', '*/app', 'team/**', '', '//*'].map(isRepositoryPattern)).toEqual([false, false, false, false, false]);
  });

  it('means the repositories that begin like it, or the one that it names', () => {
    expect(matchesPattern(['team/*'], 'team/app')).toBe(true);
    expect(matchesPattern(['team/*'], 'teamwork/app')).toBe(false);
    expect(matchesPattern(['team/app'], 'team/app2')).toBe(false);
    expect(matchesPattern(['a', '*'], 'anything/at/all')).toBe(true);
    expect(matchesPattern([], 'team/app')).toBe(false);
  });
});
