export * from './claim-source-conformance.js';
export * from './memory-claims.js';
