export * from './src/emulator-error.js';
export * from './src/emulator-options.js';
export { type FileShareEmulator, startFileShareEmulator } from './src/start-emulator.js';
export type { AccountTraffic } from './src/traffic.js';
