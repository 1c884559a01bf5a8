export * from './answering-processes-conformance.js';
export * from './lease-store-conformance.js';
export * from './memory-answering-processes.js';
export * from './memory-lease-store.js';
export * from './memory-map-source.js';
export * from './map-rows.js';
export * from './rows-of-map.js';
