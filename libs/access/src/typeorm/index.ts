export * from './postgres-service-token-store.js';
export * from './postgres-trail-store.js';
