import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { LinkLedger } from '../link-ledger.js';
import { ReplicaStore } from '../replica-store.js';
import { PostgresLinkLedger, PostgresReplicaStore } from '../typeorm/index.js';

/** Provides {@link ReplicaStore} and {@link LinkLedger} over the application's `DataSource`, which a global module must provide. */
@Module({
  providers: [
    { provide: ReplicaStore, useFactory: (dataSource: DataSource) => new PostgresReplicaStore(dataSource), inject: [DataSource] },
    { provide: LinkLedger, useFactory: (dataSource: DataSource) => new PostgresLinkLedger(dataSource), inject: [DataSource] },
  ],
  exports: [ReplicaStore, LinkLedger],
})
export class ReplicationModule {}
