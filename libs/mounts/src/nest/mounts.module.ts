import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { LeaseStore } from '../lease-store.js';
import { PostgresLeaseStore } from '../typeorm/index.js';

/** Provides {@link LeaseStore} over the application's `DataSource`, which a global module must provide. */
@Module({
  providers: [{ provide: LeaseStore, useFactory: (dataSource: DataSource) => new PostgresLeaseStore(dataSource), inject: [DataSource] }],
  exports: [LeaseStore],
})
export class MountsModule {}
