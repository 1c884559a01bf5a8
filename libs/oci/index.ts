export * from './src/digest.js';
export * from './src/oci-error.js';
export * from './src/reference.js';
