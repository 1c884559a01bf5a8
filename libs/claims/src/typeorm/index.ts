export * from './claim-rows.js';
export * from './deciding-clock.js';
