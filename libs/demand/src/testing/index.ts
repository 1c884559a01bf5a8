export * from './demand-store-conformance.js';
export * from './memory-demand-store.js';
export * from './memory-pull-history.js';
export * from './pull-history-conformance.js';
