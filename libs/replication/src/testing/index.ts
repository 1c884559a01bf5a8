export * from './link-ledger-conformance.js';
export * from './memory-link-ledger.js';
export * from './memory-replica-store.js';
export * from './replica-store-conformance.js';
export * from './replication-world.js';
export * from './memory-room-ledger.js';
export * from './room-ledger-conformance.js';
