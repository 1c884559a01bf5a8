export * from './postgres-link-ledger.js';
export * from './postgres-replica-store.js';
export { PostgresRoomLedger } from './postgres-room-ledger.js';
export * from './postgres-share-drains.js';
