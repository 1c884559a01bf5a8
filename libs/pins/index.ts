export * from './src/pin.js';
export * from './src/pin-error.js';
export * from './src/pin-store.js';
