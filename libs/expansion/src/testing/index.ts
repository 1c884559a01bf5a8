export * from './expanded-layer-store-conformance.js';
export * from './memory-expanded-layer-store.js';
