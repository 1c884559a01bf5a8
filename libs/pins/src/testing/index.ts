export * from './memory-pin-store.js';
export * from './pin-builder.js';
export * from './pin-store-conformance.js';
