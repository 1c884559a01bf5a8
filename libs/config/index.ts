export * from './src/config-error.js';
export * from './src/config.js';
export * from './src/environment.js';
export * from './src/gateway-config.js';
export * from './src/load-config.js';
export * from './src/print-config.js';
export * from './src/secrets.js';
