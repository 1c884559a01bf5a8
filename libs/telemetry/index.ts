export * from './src/logger.js';
export * from './src/metrics.js';
