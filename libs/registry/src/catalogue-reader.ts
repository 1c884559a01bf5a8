import type { Digest } from '#oci';

import type { ImageKey, RecordedImage, RecordedTag, TagKey } from './image.js';

/** Whether a repository is served. */
export interface RepositoryState {
  readonly name: string;
  readonly enabled: boolean;
}

/** What plans depend on of an image or index. */
export interface PlaceableImage extends Pick<RecordedImage, 'repository' | 'digest' | 'kind' | 'pushedAt' | 'viewDigest'> {
  /** The lowest first. */
  readonly layers: readonly Digest[];
  /** The wanted images of an index. */
  readonly children: readonly Digest[];
}

/** What a manifest stands for, and nothing else of it. */
export interface ImageContent extends Pick<RecordedImage, 'repository' | 'digest' | 'kind' | 'viewDigest'> {
  readonly layers: readonly Pick<RecordedImage['layers'][number], 'digest' | 'diffId' | 'sizeBytes'>[];
  readonly children: RecordedImage['children'];
}

/** Rows that one call asks for or gets, at most. */
export const CATALOGUE_ROWS_MAX = 5000;

/**
 * Reads many rows at once, for those who keep the catalogue in memory: single keys when the change feed names them (topics `repository`, `tag`,
 * `image`, with exactly these keys), and whole tables page by page, in the order of their keys. Keys that are not there are absent from the answer.
 */
export abstract class CatalogueReader {
  /** The repositories of these names, in any order; as for every call by key, at most {@link CATALOGUE_ROWS_MAX}. */
  abstract repositoriesByName(names: readonly string[]): Promise<RepositoryState[]>;
  /** The tags of these keys, in any order. */
  abstract tagsByKey(keys: readonly TagKey[]): Promise<RecordedTag[]>;
  /** The images and indexes of these keys, in any order. */
  abstract imagesByKey(keys: readonly ImageKey[]): Promise<RecordedImage[]>;

  /** Repositories after `name`, from the first one on without it; `limit` from 1 to {@link CATALOGUE_ROWS_MAX}, as for every page. */
  abstract repositoriesAfter(name: string | undefined, limit: number): Promise<RepositoryState[]>;
  /** Tags of all repositories after `key`. */
  abstract tagsAfter(key: TagKey | undefined, limit: number): Promise<RecordedTag[]>;
  /** Images and indexes of all repositories after `key`. */
  abstract imagesAfter(key: ImageKey | undefined, limit: number): Promise<RecordedImage[]>;

  /** The repositories with images that have any of these layers, or merged views; ascending, at most `limit`, from 1 to {@link CATALOGUE_ROWS_MAX}. */
  abstract repositoriesOfLayers(digests: readonly Digest[], limit: number): Promise<string[]>;

  /** The same as `imagesAfter`, of each only its contents: for full loads, which read nothing else of them. */
  abstract contentsAfter(key: ImageKey | undefined, limit: number): Promise<ImageContent[]>;

  /** The same as `imagesAfter`, of each only what plans depend on. */
  abstract imagesForPlacement(after: ImageKey | undefined, limit: number): Promise<PlaceableImage[]>;
}
