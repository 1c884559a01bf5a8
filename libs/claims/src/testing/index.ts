export * from './claim-source-conformance.js';
export * from './memory-claims.js';
export * from './memory-work-list.js';
export * from './work-list-conformance.js';
