export * from './expansion.module.js';
