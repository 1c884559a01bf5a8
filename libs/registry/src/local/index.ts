export * from './local-registry.js';
export * from './push-image.js';
export { type FaultTarget, type RegistryFault, type RegistryFaults } from './registry-faults.js';
export { type RegistryAccessRules, type RegistryGate, type RegistryUser } from './registry-gate.js';
export { type NotificationEndpoint, type RegistryNotifier } from './registry-notifier.js';
