import { describe, expect, it } from 'vitest';

import { PLACEMENT_PARAMETERS_DEFAULT } from '../region-facts.js';
import { parseWeights } from './replay-weights.js';

describe('parseWeights', () => {
  it('changes what is named, and leaves the rest as usual', () => {
    expect(parseWeights([])).toEqual(PLACEMENT_PARAMETERS_DEFAULT);
    expect(parseWeights(['gigabyteWeight=2.5', 'keepRatio=0'])).toEqual({ ...PLACEMENT_PARAMETERS_DEFAULT, gigabyteWeight: 2.5, keepRatio: 0 });
  });

  it.each([
    ['speed=1', /one of the names .*gigabyteWeight.*"speed=1"/],
    ['keepRatio', /name=number/],
    ['keepRatio=', /keepRatio is a number from 0 to 1, and is ""/],
    ['keepRatio=1.5', /keepRatio is a number from 0 to 1, and is "1.5"/],
    ['gigabyteWeight=-1', /gigabyteWeight is a number from 0 to/],
    ['gigabyteWeight=many', /and is "many"/],
  ])('refuses %j', (text, rule) => {
    expect(() => parseWeights([text])).toThrow(rule);
  });
});
