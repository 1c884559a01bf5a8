export * from './src/change-feed.js';
export * from './src/data-source.js';
export * from './src/database-error.js';
export * from './src/embedded-database.js';
export * from './src/maintain-embedded-database.js';
