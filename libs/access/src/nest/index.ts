import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { ServiceTokenStore } from '../service-token-store.js';
import { TrailStore } from '../trail-store.js';
import { PostgresServiceTokenStore, PostgresTrailStore } from '../typeorm/index.js';

/** Provides the stores of this room from the application's `DataSource`. */
@Module({
  providers: [
    { provide: ServiceTokenStore, useFactory: (db: DataSource) => new PostgresServiceTokenStore(db), inject: [DataSource] },
    { provide: TrailStore, useFactory: (db: DataSource) => new PostgresTrailStore(db), inject: [DataSource] },
  ],
  exports: [ServiceTokenStore, TrailStore],
})
export class AccessStoresModule {}
