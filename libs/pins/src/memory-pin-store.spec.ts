import { expect, it } from 'vitest';

import { PINS_MAX } from './pin-store.js';
import { aPin } from './testing/pin-builder.js';
import { MemoryPinStore } from './testing/memory-pin-store.js';
import { pinStoreConformance } from './testing/pin-store-conformance.js';

pinStoreConformance('MemoryPinStore', () => new MemoryPinStore());

it('refuses pins beyond the limit, and takes them again after a deletion', async () => {
  const store = new MemoryPinStore();
  const first = aPin();
  await store.create(first);
  for (let count = 1; count < PINS_MAX; count += 1) await store.create(aPin());
  await expect(store.create(aPin())).rejects.toMatchObject({ code: 'PINS_TOO_MANY' });
  await expect(store.create(first)).resolves.toMatchObject({ created: false });
  await store.delete(first.id);
  await expect(store.create(aPin())).resolves.toMatchObject({ created: true });
});
