import { describe, expect, it } from 'vitest';

import { askedOf, BenchError, type BenchReport, measured, median, mergedFigures, ratioAtLeast, ratioAtMost, thisMachine, valueAtMost } from './bench.js';
import { tableOf } from './report-table.js';

describe('figures', () => {
  it('hold up to their bound and not beyond', () => {
    const against = { against: 'the floor', bound: 1.3 };
    expect(ratioAtMost('it', 1.3, against)).toEqual({ name: 'it', value: 1.3, unit: 'ratio', against: 'the floor', bound: 1.3, holds: true });
    expect(ratioAtMost('it', 1.3001, against)).toMatchObject({ value: 1.3, holds: false });
    expect(measured('time', 1.234_56, 's')).toEqual({ name: 'time', value: 1.235, unit: 's', against: null, bound: null, holds: null });
  });

  it('reach a bound from below where they must', () => {
    const against = { against: 'the peer', bound: 10 };
    expect([10, 9.9999].map((value) => ratioAtLeast('it', value, against).holds)).toEqual([true, false]);
    const [low] = tableOf({ bench: 'name', machine: thisMachine(), figures: [ratioAtLeast('it', 3, against)] }).split('\n').slice(-3);
    expect(low).toMatch(/^it, against the peer +3 × +at least 10 × +DOES NOT HOLD$/);
    expect([5, 5.01].map((value) => valueAtMost('time', value, { unit: 'ms', bound: 5 }).holds)).toEqual([true, false]);
  });

  it('of some parts take the places of those kept before, and leave the others', () => {
    const kept = [measured('a', 1, 's'), measured('b', 2, 's')];
    expect(mergedFigures(kept, [measured('c', 4, 's'), measured('b', 3, 's')])).toEqual([measured('a', 1, 's'), measured('b', 3, 's'), measured('c', 4, 's')]);
    expect(mergedFigures(kept, [ratioAtMost('a', 1, { against: 'the floor', bound: 1 })])).toHaveLength(3);
  });

  it('are medians', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('askedOf', () => {
  const bench = { parts: ['one', 'other'], partsApart: ['front'] };

  it('measures all parts where none is named, but those that are measured by themselves', () => {
    expect(askedOf('name', bench, [])).toEqual({ parts: ['one', 'other'], report: 'name', isMerged: false });
    expect(askedOf('name', bench, ['other'])).toEqual({ parts: ['other'], report: 'name', isMerged: true });
    expect(askedOf('name', {}, [])).toEqual({ parts: [], report: 'name', isMerged: false });
  });

  it('has a part that is measured by itself report by itself', () => {
    expect(askedOf('name', bench, ['front'])).toEqual({ parts: ['front'], report: 'name-front', isMerged: false });
    expect(() => askedOf('name', bench, ['one', 'front'])).toThrow(new BenchError('the part front of name is measured by itself'));
    expect(() => askedOf('name', bench, ['third'])).toThrow(new BenchError('--part "third" is none of the parts of name: one, other, front'));
    expect(() => askedOf('name', {}, ['third'])).toThrow('it has none');
  });
});

describe('tableOf', () => {
  const report = (value: number): BenchReport => ({ bench: 'name', machine: thisMachine(), figures: [measured('time', 2, 's'), ratioAtMost('it', value, { against: 'the floor', bound: 1.3 })] });

  it('says of every bound whether it holds, and of all of them at the end', () => {
    expect(tableOf(report(1)).split('\n').slice(-4)).toEqual([expect.stringMatching(/^time +2 s$/), expect.stringMatching(/^it, against the floor +1 × +1.3 × +holds$/), '', 'every bound holds']);
    expect(tableOf(report(2)).split('\n').slice(-3)).toEqual([expect.stringMatching(/^it, against the floor +2 × +1.3 × +DOES NOT HOLD$/), '', '1 of the bounds does not hold']);
  });
});
