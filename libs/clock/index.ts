export * from './src/clock.js';
export * from './src/retry.js';
