export * from './postgres-pin-store.js';
