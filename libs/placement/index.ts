export * from './src/placement-error.js';
export * from './src/plan-region.js';
export * from './src/region-facts.js';
export * from './src/region-plan.js';
export * from './src/resolve-pins.js';
