export * from './src/byte-ranges.js';
export * from './src/crc64.js';
export * from './src/layer-file.js';
export * from './src/partial-files.js';
export * from './src/share.js';
export * from './src/share-error.js';
export * from './src/share-path.js';
