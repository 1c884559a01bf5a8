import { describe, expect, it } from 'vitest';

import { CodedError, describeError, isTransient } from './coded-error.js';

class KitchenError extends CodedError<'STOVE_COLD' | 'POT_LOST'> {}

describe('a coded error', () => {
  it('keeps code, cause and details, and is called by its class', () => {
    const cause = new Error('gas');
    const error = new KitchenError('STOVE_COLD', 'the stove is cold', { cause, transient: true, details: { stove: 2 } });
    expect(error).toMatchObject({ name: 'KitchenError', code: 'STOVE_COLD', cause, details: { stove: 2 } });
    expect(isTransient(error)).toBe(true);
    expect(describeError(error)).toBe('STOVE_COLD: the stove is cold');
  });

  it('is final unless said otherwise, and so is everything that has no code', () => {
    expect(isTransient(new KitchenError('POT_LOST', 'no pot'))).toBe(false);
    expect(isTransient(new Error('defect'))).toBe(false);
    expect(describeError(new TypeError(''))).toBe('TypeError');
    expect(describeError('text')).toBe('text');
  });
});
