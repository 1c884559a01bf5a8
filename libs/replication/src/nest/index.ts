export * from './replication.module.js';
