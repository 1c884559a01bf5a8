import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { leaseStoreConformance } from '#mounts/testing';
import { PostgresLeaseStore } from '#mounts/typeorm';

describeOnEveryDatabase('PostgresLeaseStore', MIGRATIONS, (dataSource) => leaseStoreConformance(() => new PostgresLeaseStore(dataSource())));
