export * from './postgres-demand-store.js';
