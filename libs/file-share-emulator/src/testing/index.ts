export * from './emulator-process.js';
export * from './raw-request.js';
export * from './temporary-emulator.js';
export * from './test-issuer.js';
export * from './sdk-clients.js';
