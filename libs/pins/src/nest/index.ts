import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { PinStore } from '../pin-store.js';
import { PostgresPinStore } from '../typeorm/postgres-pin-store.js';

/** Provides the pin store from the application's `DataSource`. */
@Module({
  providers: [{ provide: PinStore, useFactory: (dataSource: DataSource) => new PostgresPinStore(dataSource), inject: [DataSource] }],
  exports: [PinStore],
})
export class PinsModule {}
