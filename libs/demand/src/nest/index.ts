import { type DynamicModule, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { DemandStore, type DemandStoreOptions } from '../demand-store.js';
import { PostgresDemandStore } from '../typeorm/postgres-demand-store.js';

/** Provides the demand store from the application's `DataSource`. */
@Module({})
export class DemandModule {
  /** With the half-life of the configuration. */
  static with(options: DemandStoreOptions): DynamicModule {
    return {
      module: DemandModule,
      providers: [{ provide: DemandStore, useFactory: (dataSource: DataSource) => new PostgresDemandStore(dataSource, options), inject: [DataSource] }],
      exports: [DemandStore],
    };
  }
}
