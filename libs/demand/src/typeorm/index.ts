export * from './postgres-demand-store.js';
export * from './postgres-pull-history.js';
