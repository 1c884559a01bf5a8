export * from './src/backfill-repository.js';
export * from './src/catalogue-reader.js';
export * from './src/examination-store.js';
export {
  type ExaminationOutcome, type ExaminationTools, type ExaminedReference, ExaminedImages, examineReference,
} from './src/examine-reference.js';
export * from './src/event-of-exchange.js';
export { type RegistryCredentials } from './src/http/registry-access.js';
export { keySetAt } from './src/http/fetch-key-set.js';
export * from './src/http/registry-client.js';
export { DEFAULT_REGISTRY_LIMITS, type RegistryLimits } from './src/http/registry-limits.js';
export * from './src/http/registry-relay.js';
export * from './src/http/relayed-addresses.js';
export * from './src/http/relayed-headers.js';
export * from './src/http/relayed-path.js';
export * from './src/http/token-service.js';
export * from './src/image.js';
export * from './src/image-store.js';
export * from './src/parse-registry-envelope.js';
export * from './src/registry-error.js';
export * from './src/registry-event.js';
export * from './src/registry-reader.js';
export * from './src/repository-store.js';
export { KEYS_FRESH_MS, KEYS_READ_EVERY_MIN_MS, type KeyText, TokenKeys, type TokenKeysOptions } from './src/tokens/token-keys.js';
export {
  TOKEN_LENGTH_MAX, type TokenRefusal, type TokenVerdict, TokenVerifier, type TokenVerifierOptions, VERIFIED_TOKENS_MAX,
} from './src/tokens/token-verifier.js';
export { libtrustFingerprint } from './src/tokens/verification-key.js';
