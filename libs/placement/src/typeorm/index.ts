export * from './postgres-forecast-ledger.js';
export * from './postgres-plan-store.js';
export * from './postgres-planner-turn.js';
