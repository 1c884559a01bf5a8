export * from './mounts.module.js';
