export * from './arbitrary-region.js';
export * from './region-scene.js';
