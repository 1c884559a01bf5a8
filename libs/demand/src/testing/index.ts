export * from './demand-store-conformance.js';
export * from './memory-demand-store.js';
