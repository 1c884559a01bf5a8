export * from './postgres-lease-store.js';
