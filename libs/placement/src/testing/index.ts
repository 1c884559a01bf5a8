export * from './arbitrary-region.js';
export * from './memory-placement-world.js';
export * from './memory-plan-store.js';
export * from './memory-planner-turn.js';
export * from './placement-stores-conformance.js';
export * from './region-scene.js';
export * from './forecast-ledger-conformance.js';
export * from './memory-forecast-ledger.js';
