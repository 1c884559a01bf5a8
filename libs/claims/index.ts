export * from './src/claim.js';
export * from './src/claim-loop.js';
export * from './src/folder-lock.js';
export * from './src/write-fence.js';
export * from './src/work-list.js';
