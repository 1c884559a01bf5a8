import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { AnsweringProcesses } from '../answering-processes.js';
import { LeaseStore } from '../lease-store.js';
import { PostgresAnsweringProcesses, PostgresLeaseStore } from '../typeorm/index.js';

/** Provides {@link LeaseStore} and {@link AnsweringProcesses} over the application's `DataSource`, which a global module must provide. */
@Module({
  providers: [
    { provide: LeaseStore, useFactory: (dataSource: DataSource) => new PostgresLeaseStore(dataSource), inject: [DataSource] },
    { provide: AnsweringProcesses, useFactory: (dataSource: DataSource) => new PostgresAnsweringProcesses(dataSource), inject: [DataSource] },
  ],
  exports: [AnsweringProcesses, LeaseStore],
})
export class MountsModule {}
