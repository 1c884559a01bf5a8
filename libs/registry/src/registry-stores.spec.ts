import { beforeEach } from 'vitest';

import {
  catalogueConformance, examinationConformance, MemoryBackfillStore, MemoryCatalogue, MemoryCatalogueReader, MemoryExaminationStore, MemoryImageStore,
  MemoryRepositoryStore, type RegistryStores,
} from './testing/index.js';

let stores: RegistryStores;
beforeEach(() => {
  const catalogue = new MemoryCatalogue();
  stores = {
    repositories: new MemoryRepositoryStore(catalogue),
    backfills: new MemoryBackfillStore(catalogue),
    images: new MemoryImageStore(catalogue),
    catalogue: new MemoryCatalogueReader(catalogue),
    examinations: new MemoryExaminationStore(catalogue),
  };
});

catalogueConformance('memory', () => stores);
examinationConformance('memory', () => stores);
