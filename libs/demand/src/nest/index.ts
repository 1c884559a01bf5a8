import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DemandStore } from '../demand-store.js';
import { PullHistory } from '../history/pull-history.js';
import { PostgresDemandStore } from '../typeorm/postgres-demand-store.js';
import { PostgresPullHistory } from '../typeorm/postgres-pull-history.js';

/** Provides the demand store and the history from the application's `DataSource`. */
@Module({
  providers: [
    { provide: DemandStore, useFactory: (dataSource: DataSource) => new PostgresDemandStore(dataSource), inject: [DataSource] },
    { provide: PullHistory, useFactory: (dataSource: DataSource) => new PostgresPullHistory(dataSource), inject: [DataSource] },
  ],
  exports: [DemandStore, PullHistory],
})
export class DemandModule {}
