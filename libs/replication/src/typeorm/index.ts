export * from './postgres-link-ledger.js';
export * from './postgres-replica-store.js';
