import { serviceTokenStoreConformance, trailStoreConformance } from '#access/testing';
import { PostgresServiceTokenStore, PostgresTrailStore } from '#access/typeorm';
import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';

describeOnEveryDatabase('access', MIGRATIONS, (dataSource) => {
  serviceTokenStoreConformance('PostgresServiceTokenStore', () => new PostgresServiceTokenStore(dataSource()));
  trailStoreConformance('PostgresTrailStore', () => new PostgresTrailStore(dataSource()));
});
