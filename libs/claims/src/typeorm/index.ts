export * from './claim-rows.js';
export * from './deciding-clock.js';
export * from './postgres-work-list.js';
