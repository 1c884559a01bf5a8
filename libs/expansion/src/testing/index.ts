export * from './expanded-layer-store-conformance.js';
export * from './memory-expanded-layer-store.js';
export * from './compare-trees.js';
export * from './expand-bytes.js';
export * from './mounted-comparison.js';
export * from './mounted-layer.js';
export * from './seekable-blobs.js';
export * from './tar-builder.js';
