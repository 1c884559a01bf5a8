export * from './src/event-store.js';
export * from './src/outward-event.js';
export * from './src/webhook-teller.js';
