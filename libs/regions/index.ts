export * from './src/region.js';
export * from './src/region-map.js';
