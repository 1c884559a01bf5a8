export * from './claim-rows.js';
