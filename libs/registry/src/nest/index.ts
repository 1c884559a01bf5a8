import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { CatalogueReader } from '../catalogue-reader.js';
import { ExaminationStore } from '../examination-store.js';
import { ImageStore } from '../image-store.js';
import { BackfillStore, RepositoryStore } from '../repository-store.js';
import {
  PostgresBackfillStore, PostgresCatalogueReader, PostgresExaminationStore, PostgresImageStore, PostgresRepositoryStore,
} from '../typeorm/index.js';

/** Provides the stores of this room from the application's `DataSource`. */
@Module({
  providers: [
    { provide: RepositoryStore, useFactory: (db: DataSource) => new PostgresRepositoryStore(db), inject: [DataSource] },
    { provide: BackfillStore, useFactory: (db: DataSource) => new PostgresBackfillStore(db), inject: [DataSource] },
    { provide: ImageStore, useFactory: (db: DataSource) => new PostgresImageStore(db), inject: [DataSource] },
    { provide: CatalogueReader, useFactory: (db: DataSource) => new PostgresCatalogueReader(db), inject: [DataSource] },
    { provide: ExaminationStore, useFactory: (db: DataSource) => new PostgresExaminationStore(db), inject: [DataSource] },
  ],
  exports: [RepositoryStore, BackfillStore, ImageStore, CatalogueReader, ExaminationStore],
})
export class RegistryModule {}
