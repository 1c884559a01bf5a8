export { PostgresDeliveryStore } from './postgres-delivery-store.js';
export { PostgresEventStore } from './postgres-event-store.js';
