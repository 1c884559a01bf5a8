import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { LinkLedger } from '../link-ledger.js';
import { ReplicaStore } from '../replica-store.js';
import { RoomLedger } from '../room-ledger.js';
import { ShareDrains } from '../share-drains.js';
import { PostgresLinkLedger, PostgresReplicaStore, PostgresRoomLedger, PostgresShareDrains } from '../typeorm/index.js';

/** Provides {@link ReplicaStore}, {@link LinkLedger}, {@link RoomLedger} and {@link ShareDrains} over the application's `DataSource`, which a global module must provide. */
@Module({
  providers: [
    { provide: ReplicaStore, useFactory: (dataSource: DataSource) => new PostgresReplicaStore(dataSource), inject: [DataSource] },
    { provide: LinkLedger, useFactory: (dataSource: DataSource) => new PostgresLinkLedger(dataSource), inject: [DataSource] },
    { provide: RoomLedger, useFactory: (dataSource: DataSource) => new PostgresRoomLedger(dataSource), inject: [DataSource] },
    { provide: ShareDrains, useFactory: (dataSource: DataSource) => new PostgresShareDrains(dataSource), inject: [DataSource] },
  ],
  exports: [ReplicaStore, LinkLedger, RoomLedger, ShareDrains],
})
export class ReplicationModule {}
