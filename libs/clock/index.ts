export * from './src/clock.js';
export * from './src/retry.js';
export * from './src/slices.js';
