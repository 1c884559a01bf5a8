export * from './postgres-expanded-layer-store.js';
