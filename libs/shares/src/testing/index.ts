export * from './memory-share.js';
export * from './share-conformance.js';
