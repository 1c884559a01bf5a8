import { describeOnEveryDatabase } from '#database/testing';
import { demandStoreConformance } from '#demand/testing';
import { PostgresDemandStore } from '#demand/typeorm';
import { MIGRATIONS } from '#migrations';

describeOnEveryDatabase('demand', MIGRATIONS, (dataSource) => {
  demandStoreConformance('PostgresDemandStore', (options) => new PostgresDemandStore(dataSource(), options));
});
