export * from './postgres-answering-processes.js';
export * from './postgres-lease-store.js';
