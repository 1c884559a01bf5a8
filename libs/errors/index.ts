export * from './src/coded-error.js';
