import { describe } from 'vitest';

import { earlyDrainsConform } from './testing/early-drains-conformance.js';
import { linkLedgerConforms } from './testing/link-ledger-conformance.js';
import { MemoryLinkLedger } from './testing/memory-link-ledger.js';
import { MemoryReplicaStore } from './testing/memory-replica-store.js';
import { passingConforms } from './testing/passing-conformance.js';
import { replicaStoreConforms } from './testing/replica-store-conformance.js';

describe('replicas in memory', () => {
  replicaStoreConforms(() => new MemoryReplicaStore());

  earlyDrainsConform(() => {
    const store = new MemoryReplicaStore();
    return { store, place: () => store.place() };
  });

  describe('made of what passed', () => {
    passingConforms(() => {
      const store = new MemoryReplicaStore();
      return { store, room: store.room, drains: store.drains };
    });
  });
});

describe('the account of links in memory', () => {
  linkLedgerConforms(() => new MemoryLinkLedger());
});
