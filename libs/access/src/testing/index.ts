export * from './memory-service-token-store.js';
export * from './memory-trail-store.js';
export * from './service-token-builder.js';
export * from './service-token-store-conformance.js';
export * from './trail-store-conformance.js';
