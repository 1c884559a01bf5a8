export { STORAGE_AUDIENCE, type TokenIssuer, type TokenRole } from './src/access/bearer-token.js';
export { DISTURBANCE_SCHEMA } from './src/control/disturbance-schema.js';
export { type DisturbanceSettings, type Fault, FAULT_KINDS, type FaultKind, type Limit, type Link, type Scope } from './src/control/disturbances.js';
export { EmulatorControl, type HandleOwner, type Place } from './src/control/emulator-control.js';
export * from './src/emulator-error.js';
export * from './src/emulator-options.js';
export { type FileShareEmulator, startFileShareEmulator } from './src/start-emulator.js';
export type { OpenHandle, Sharing } from './src/storage/open-handles.js';
export type { AccountTraffic } from './src/traffic.js';
