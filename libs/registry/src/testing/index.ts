export * from './registry-bench.js';
export * from './sample-image.js';
export * from './catalogue-conformance.js';
export * from './examination-conformance.js';
export { MemoryCatalogue } from './memory-catalogue.js';
export * from './memory-catalogue-reader.js';
export * from './memory-examination-store.js';
export * from './memory-image-store.js';
export * from './memory-repository-store.js';
