export * from './begun-database.js';
export * from './made-once.js';
export * from './test-databases.js';
