import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { ExpandedLayerStore } from '../expanded-layer-store.js';
import { PostgresExpandedLayerStore } from '../typeorm/index.js';

/** Provides {@link ExpandedLayerStore} over the application's `DataSource`, which a global module must provide. */
@Module({
  providers: [{ provide: ExpandedLayerStore, useFactory: (dataSource: DataSource) => new PostgresExpandedLayerStore(dataSource), inject: [DataSource] }],
  exports: [ExpandedLayerStore],
})
export class ExpansionModule {}
