import type { Digest } from '#oci';

import { CatalogueReader, type ImageContent, type PlaceableImage, type RepositoryState } from '../catalogue-reader.js';
import type { ImageKey, RecordedImage, RecordedTag, TagKey } from '../image.js';
import { byKey, imageId, MemoryCatalogue } from './memory-catalogue.js';

/** {@link CatalogueReader} in memory. */
export class MemoryCatalogueReader extends CatalogueReader {
  readonly #catalogue: MemoryCatalogue;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
  }

  async repositoriesByName(names: readonly string[]): Promise<RepositoryState[]> {
    return this.#repositories().filter(({ name }) => names.includes(name));
  }

  async tagsByKey(keys: readonly TagKey[]): Promise<RecordedTag[]> {
    const wanted = new Set(keys.map((key) => imageId(key.repository, key.tag)));
    return this.#tags().filter((tag) => wanted.has(imageId(tag.repository, tag.tag)));
  }

  async imagesByKey(keys: readonly ImageKey[]): Promise<RecordedImage[]> {
    return keys.map((key) => this.#catalogue.images.get(imageId(key.repository, key.digest))).filter((image) => image !== undefined);
  }

  async repositoriesAfter(name: string | undefined, limit: number): Promise<RepositoryState[]> {
    return this.#repositories().filter((repository) => repository.name > (name ?? '')).slice(0, limit);
  }

  async tagsAfter(key: TagKey | undefined, limit: number): Promise<RecordedTag[]> {
    const after = key === undefined ? '' : imageId(key.repository, key.tag);
    return this.#tags().filter((tag) => imageId(tag.repository, tag.tag) > after).slice(0, limit);
  }

  async imagesAfter(key: ImageKey | undefined, limit: number): Promise<RecordedImage[]> {
    return this.#images().filter((image) => key === undefined || byKey(key, image) < 0).slice(0, limit);
  }

  async contentsAfter(key: ImageKey | undefined, limit: number): Promise<ImageContent[]> {
    const page = await this.imagesAfter(key, limit);
    return page.map(({ repository, digest, kind, viewDigest, layers, children }) => ({ repository, digest, kind, ...(viewDigest === undefined ? {} : { viewDigest }), layers: layers.map((layer) => ({ digest: layer.digest, diffId: layer.diffId, sizeBytes: layer.sizeBytes })), children }));
  }

  async repositoriesOfLayers(digests: readonly Digest[], limit: number): Promise<string[]> {
    const asked = new Set(digests);
    const having = this.#images().filter(({ layers, viewDigest }) => layers.some(({ digest }) => asked.has(digest)) || (viewDigest !== undefined && asked.has(viewDigest)));
    return [...new Set(having.map(({ repository }) => repository))].toSorted().slice(0, limit);
  }

  async imagesForPlacement(after: ImageKey | undefined, limit: number): Promise<PlaceableImage[]> {
    const page = await this.imagesAfter(after, limit);
    return page.map(({ repository, digest, kind, pushedAt, viewDigest, layers, children }) => ({
      repository, digest, kind, pushedAt, ...(viewDigest === undefined ? {} : { viewDigest }), layers: layers.map((layer) => layer.digest), children: children.map((child) => child.digest),
    }));
  }

  #repositories(): RepositoryState[] {
    return [...this.#catalogue.repositories.values()].map(({ name, enabled }) => ({ name, enabled })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #tags(): RecordedTag[] {
    const all = [...this.#catalogue.tags].flatMap(([repository, tags]) => [...tags].map(([tag, digest]) => ({ repository, tag, digest })));
    return all.toSorted((a, b) => (imageId(a.repository, a.tag) < imageId(b.repository, b.tag) ? -1 : 1));
  }

  #images(): RecordedImage[] {
    return [...this.#catalogue.images.values()].toSorted(byKey);
  }
}
