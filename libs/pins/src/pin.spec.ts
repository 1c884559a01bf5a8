import { describe, expect, it } from 'vitest';

import { checkPin, isActive, PIN_NOTE_LENGTH_MAX, PIN_REGIONS_MAX, type Pin, sayTheSame } from './pin.js';
import { aPin } from './testing/pin-builder.js';

const noon = new Date('2026-03-01T12:00:00.000Z');

describe('checkPin', () => {
  it.each<[string, Partial<Pin>]>([
    ['id', { id: 'latest' }],
    ['id', { id: aPin().id.toUpperCase().replace(/^./, 'A') }],
    ['repository', { repository: 'Team/App' }],
    ['regions', { regions: [] }],
    ['regions', { regions: ['East US'] }],
    ['regions', { regions: Array.from({ length: PIN_REGIONS_MAX + 1 }, (_, n) => `r${n}`) }],
    ['priority', { priority: 101 }],
    ['priority', { priority: -100.5 }],
    ['priority', { priority: Number.NaN }],
    ['expiresAt', { expiresAt: aPin().createdAt }],
    ['expiresAt', { expiresAt: new Date(Number.NaN) }],
    ['note', { note: 'x'.repeat(PIN_NOTE_LENGTH_MAX + 1) }],
    ['createdBy', { createdBy: '' }],
  ])('refuses a wrong %s and names it', (field, changes) => {
    expect(() => checkPin(aPin(changes))).toThrow(expect.objectContaining({ code: 'PIN_INVALID', details: expect.objectContaining({ field }) }));
  });

  it('puts regions in order, each once', () => {
    expect(checkPin(aPin({ regions: ['westeurope', 'eastus', 'westeurope'] })).regions).toEqual(['eastus', 'westeurope']);
  });
});

describe('isActive', () => {
  it('ends at the instant of the expiry', () => {
    const ending = aPin({ expiresAt: noon });
    expect(isActive(ending, new Date(noon.getTime() - 1))).toBe(true);
    expect(isActive(ending, noon)).toBe(false);
    expect(isActive(aPin(), noon)).toBe(true);
  });
});

describe('sayTheSame', () => {
  it('looks at the rule and not at who made it, when, or in which order it names regions', () => {
    const pin = aPin({ regions: ['a', 'b'] });
    expect(sayTheSame(pin, aPin({ regions: ['b', 'a'], createdBy: 'other', createdAt: noon, note: '' }))).toBe(true);
    expect(sayTheSame(pin, { ...pin, reference: { kind: 'tag', tag: 'other' } })).toBe(false);
    expect(sayTheSame(pin, { ...pin, expiresAt: noon })).toBe(false);
  });
});
