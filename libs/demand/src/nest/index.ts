import { type DynamicModule, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DemandStore, type DemandStoreOptions } from '../demand-store.js';
import { PullHistory } from '../history/pull-history.js';
import { PostgresDemandStore } from '../typeorm/postgres-demand-store.js';
import { PostgresPullHistory } from '../typeorm/postgres-pull-history.js';

/** Provides the demand store and the history from the application's `DataSource`. */
@Module({})
export class DemandModule {
  /** With the half-life of the configuration. */
  static with(options: DemandStoreOptions): DynamicModule {
    return {
      module: DemandModule,
      providers: [{ provide: DemandStore, useFactory: (dataSource: DataSource) => new PostgresDemandStore(dataSource, options), inject: [DataSource] }, { provide: PullHistory, useFactory: (dataSource: DataSource) => new PostgresPullHistory(dataSource), inject: [DataSource] }],
      exports: [DemandStore, PullHistory],
    };
  }
}
