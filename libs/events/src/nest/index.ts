import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DeliveryStore, EventStore } from '../event-store.js';
import { PostgresDeliveryStore, PostgresEventStore } from '../typeorm/index.js';

/** Provides the stores of this room from the application's `DataSource`. */
@Module({
  providers: [
    { provide: EventStore, useFactory: (db: DataSource) => new PostgresEventStore(db), inject: [DataSource] },
    { provide: DeliveryStore, useFactory: (db: DataSource) => new PostgresDeliveryStore(db), inject: [DataSource] },
  ],
  exports: [EventStore, DeliveryStore],
})
export class EventStoresModule {}
