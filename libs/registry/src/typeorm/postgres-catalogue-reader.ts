import type { DataSource } from 'typeorm';

import type { Digest } from '#oci';

import { CatalogueReader, type ImageContent, type PlaceableImage, type RepositoryState } from '../catalogue-reader.js';
import type { ImageKey, RecordedImage, RecordedTag, TagKey } from '../image.js';
import { CONTENT_COLUMNS, contentOf, type ContentRow, IMAGE_COLUMNS, imageOf, type ImageRow, PLACEABLE_COLUMNS, placeableOf, type PlaceableRow } from './image-rows.js';

/** {@link CatalogueReader} on PostgreSQL. */
export class PostgresCatalogueReader extends CatalogueReader {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    super();
    this.#dataSource = dataSource;
  }

  repositoriesByName(names: readonly string[]): Promise<RepositoryState[]> {
    return this.#dataSource.query('SELECT name, enabled FROM repositories WHERE name = ANY($1)', [names]);
  }

  tagsByKey(keys: readonly TagKey[]): Promise<RecordedTag[]> {
    return this.#dataSource.query(
      'SELECT repository, tag, digest FROM unnest($1::text[], $2::text[]) AS asked (repository, tag) JOIN tags USING (repository, tag)',
      [keys.map((key) => key.repository), keys.map((key) => key.tag)],
    );
  }

  async imagesByKey(keys: readonly ImageKey[]): Promise<RecordedImage[]> {
    const rows = await this.#dataSource.query<ImageRow[]>(
      `SELECT ${IMAGE_COLUMNS} FROM unnest($1::text[], $2::text[]) AS asked (repository, digest) JOIN images AS image USING (repository, digest)`,
      [keys.map((key) => key.repository), keys.map((key) => key.digest)],
    );
    return rows.map(imageOf);
  }

  repositoriesAfter(name: string | undefined, limit: number): Promise<RepositoryState[]> {
    return this.#dataSource.query('SELECT name, enabled FROM repositories WHERE name > $1 ORDER BY name LIMIT $2', [name ?? '', limit]);
  }

  tagsAfter(key: TagKey | undefined, limit: number): Promise<RecordedTag[]> {
    return this.#dataSource.query(
      'SELECT repository, tag, digest FROM tags WHERE (repository, tag) > ($1, $2) ORDER BY repository, tag LIMIT $3',
      [key?.repository ?? '', key?.tag ?? '', limit],
    );
  }

  async imagesAfter(key: ImageKey | undefined, limit: number): Promise<RecordedImage[]> {
    const rows = await this.#dataSource.query<ImageRow[]>(
      `SELECT ${IMAGE_COLUMNS} FROM images AS image WHERE (image.repository, image.digest) > ($1, $2)
       ORDER BY image.repository, image.digest LIMIT $3`,
      [key?.repository ?? '', key?.digest ?? '', limit],
    );
    return rows.map(imageOf);
  }

  async repositoriesOfLayers(digests: readonly Digest[], limit: number): Promise<string[]> {
    const rows = await this.#dataSource.query<{ repository: string }[]>(
      `SELECT repository FROM image_layers WHERE digest = ANY($1) UNION SELECT repository FROM images WHERE view_digest = ANY($1) ORDER BY repository LIMIT $2`,
      [digests, limit],
    );
    return rows.map(({ repository }) => repository);
  }

  async contentsAfter(key: ImageKey | undefined, limit: number): Promise<ImageContent[]> {
    const rows = await this.#dataSource.query<ContentRow[]>(
      `SELECT ${CONTENT_COLUMNS} FROM images AS image WHERE (image.repository, image.digest) > ($1, $2)
       ORDER BY image.repository, image.digest LIMIT $3`,
      [key?.repository ?? '', key?.digest ?? '', limit],
    );
    return rows.map(contentOf);
  }

  async imagesForPlacement(after: ImageKey | undefined, limit: number): Promise<PlaceableImage[]> {
    const rows = await this.#dataSource.query<PlaceableRow[]>(
      `SELECT ${PLACEABLE_COLUMNS} FROM images AS image WHERE (image.repository, image.digest) > ($1, $2)
       ORDER BY image.repository, image.digest LIMIT $3`,
      [after?.repository ?? '', after?.digest ?? '', limit],
    );
    return rows.map(placeableOf);
  }
}
