export * from './src/expand-layer.js';
export * from './src/expand-wanted-layer.js';
export * from './src/expanded-layer-store.js';
export * from './src/expanded-layer.js';
export * from './src/expansion-error.js';
export * from './src/expansion-limits.js';
export * from './src/expansion-target.js';
export * from './src/layer-media-types.js';
