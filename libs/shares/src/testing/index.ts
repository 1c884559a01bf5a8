export * from './faulty-front.js';
export * from './memory-share.js';
export * from './share-conformance.js';
