export * from './src/decayed-count.js';
export * from './src/demand-recorder.js';
export * from './src/demand-store.js';
export * from './src/expected-pulls.js';
export * from './src/observation.js';
export * from './src/observation-buffer.js';
