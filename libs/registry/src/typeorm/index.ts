export * from './postgres-catalogue-reader.js';
export * from './postgres-examination-store.js';
export * from './postgres-image-store.js';
export * from './postgres-repository-store.js';
