export * from './push-image.js';
export { type FaultTarget, type RegistryFault, type RegistryFaults } from './registry-faults.js';
export { type RegistryAccessRules, type RegistryUser } from './registry-gate.js';
export { type NotificationEndpoint } from './registry-notifier.js';
export * from './sample-image.js';
export * from './test-registry.js';
