export * from './src/bytes.js';
export * from './src/durations.js';
