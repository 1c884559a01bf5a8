export * from './emulator-process.js';
export * from './raw-request.js';
