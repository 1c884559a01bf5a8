export * from './src/expand-wanted-layer.js';
export * from './src/expanded-layer-store.js';
export * from './src/expanded-layer.js';
export * from './src/expansion-error.js';
