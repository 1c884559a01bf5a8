import { expect, it } from 'vitest';

import { SERVICE_TOKENS_MAX } from '../service-token-store.js';
import { MemoryServiceTokenStore } from './memory-service-token-store.js';
import { MemoryTrailStore } from './memory-trail-store.js';
import { aKeptToken } from './service-token-builder.js';
import { serviceTokenStoreConformance } from './service-token-store-conformance.js';
import { trailStoreConformance } from './trail-store-conformance.js';

serviceTokenStoreConformance('MemoryServiceTokenStore', () => new MemoryServiceTokenStore());
trailStoreConformance('MemoryTrailStore', () => new MemoryTrailStore());

it('refuses tokens beyond the limit, and takes them again when one has ended', async () => {
  const store = new MemoryServiceTokenStore();
  const first = aKeptToken();
  await store.create(first);
  for (let count = 1; count < SERVICE_TOKENS_MAX; count += 1) await store.create(aKeptToken());
  await expect(store.create(aKeptToken())).rejects.toMatchObject({ code: 'TOKENS_TOO_MANY' });
  await store.revoke(first.token.id, new Date());
  await expect(store.create(aKeptToken())).resolves.toMatchObject({ name: 'registry' });
});
