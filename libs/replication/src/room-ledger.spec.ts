import { describe } from 'vitest';

import { MemoryReplicaStore, roomLedgerConforms } from './testing/index.js';

describe('the account of room in memory', () => {
  roomLedgerConforms(() => {
    const store = new MemoryReplicaStore();
    return { store, ledger: store.room };
  });
});
