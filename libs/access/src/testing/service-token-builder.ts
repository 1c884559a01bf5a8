import { randomUUID } from 'node:crypto';

import { after } from '#clock';
import { DAY_MS } from '#quantities';

import { newSecretText, secretHashOf } from '../secret-text.js';
import type { ServiceToken } from '../service-token.js';
import type { KeptToken } from '../service-token-store.js';

const CREATED_AT = new Date('2026-01-01T00:00:00.000Z');

/** A valid token for lookups that holds for thirty days, changed by what a test cares about. */
export function aServiceToken(changes: Partial<ServiceToken> = {}): ServiceToken {
  const createdAt = changes.createdAt ?? CREATED_AT;
  return { id: randomUUID(), name: 'registry', scopes: ['lookup'], createdAt, createdBy: 'admin', expiresAt: after(createdAt, 30 * DAY_MS), ...changes };
}

/** The same with a secret, and the Authorization header that shows it. */
export function aKeptToken(changes: Partial<ServiceToken> = {}): KeptToken & { readonly authorization: string } {
  const token = aServiceToken(changes);
  const secretText = newSecretText(token.id);
  return { token, secretHash: secretHashOf(secretText), authorization: `Bearer ${secretText}` };
}
