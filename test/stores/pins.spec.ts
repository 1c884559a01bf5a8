import { describeOnEveryDatabase } from '#database/testing';
import { MIGRATIONS } from '#migrations';
import { pinStoreConformance } from '#pins/testing';
import { PostgresPinStore } from '#pins/typeorm';

describeOnEveryDatabase('pins', MIGRATIONS, (dataSource) => {
  pinStoreConformance('PostgresPinStore', () => new PostgresPinStore(dataSource()));
});
