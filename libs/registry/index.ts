export * from './src/backfill-repository.js';
export * from './src/catalogue-reader.js';
export * from './src/examination-store.js';
export {
  type ExaminationOutcome, type ExaminationTools, type ExaminedReference, ExaminedImages, examineReference,
} from './src/examine-reference.js';
export { type RegistryCredentials } from './src/http/registry-access.js';
export * from './src/http/registry-client.js';
export { DEFAULT_REGISTRY_LIMITS, type RegistryLimits } from './src/http/registry-limits.js';
export * from './src/image.js';
export * from './src/image-store.js';
export * from './src/parse-registry-envelope.js';
export * from './src/registry-error.js';
export * from './src/registry-event.js';
export * from './src/registry-reader.js';
export * from './src/repository-store.js';
