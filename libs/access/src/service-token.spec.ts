import { describe, expect, it } from 'vitest';

import { after } from '#clock';

import { checkServiceToken, TOKEN_LIFE_MAX_MS } from './service-token.js';
import { aServiceToken } from './testing/service-token-builder.js';

const createdAt = new Date('2026-01-01T00:00:00.000Z');

describe('a service token', () => {
  it.each([
    ['id', { id: 'ABC' }],
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(201) }],
    ['scopes', { scopes: [] }],
    ['scopes', { scopes: ['everything' as never] }],
    ['repositories', { repositories: [] }],
    ['repositories', { repositories: ['Team/*'] }],
    ['repositories', { repositories: ['../other'] }],
    ['regions', { regions: ['Mars!'] }],
    ['expiresAt', { expiresAt: createdAt }],
    ['expiresAt', { expiresAt: after(createdAt, TOKEN_LIFE_MAX_MS + 1) }],
  ])('with a wrong %s is refused', (field, changes) => {
    expect(() => checkServiceToken(aServiceToken({ createdAt, ...changes }))).toThrow(expect.objectContaining({ code: 'TOKEN_INVALID', details: expect.objectContaining({ field }) }));
  });

  it('of the longest life is taken', () => {
    expect(checkServiceToken(aServiceToken({ createdAt, expiresAt: after(createdAt, TOKEN_LIFE_MAX_MS) })).scopes).toEqual(['lookup']);
  });
});
