export * from './src/expanded-layer.js';
