import type { Digest, Reference } from '#oci';

import type { Image, ImageKey, RecordedImage, RecordedTag } from '../image.js';
import {
  type ImageCursor, type ImageRecording, ImageStore, pushedAtOf, type RecordingContext, type ResolvedImage, type TaggedImage,
  TAGS_PER_IMAGE_MAX, viewDigestOf,
} from '../image-store.js';
import { byKey, imageId, MemoryCatalogue } from './memory-catalogue.js';

/** {@link ImageStore} in memory. */
export class MemoryImageStore extends ImageStore {
  readonly #catalogue: MemoryCatalogue;

  constructor(catalogue = new MemoryCatalogue()) {
    super();
    this.#catalogue = catalogue;
  }

  async record(recording: ImageRecording, context: RecordingContext): Promise<boolean> {
    if (!this.#holds(context)) return false;
    for (const image of [recording.image, ...recording.children]) this.#write(image, pushedAtOf(image, recording, context.now));
    if (recording.tag !== undefined) this.#catalogue.tagsOf(recording.repository).set(recording.tag, recording.image.digest);
    return true;
  }

  async removeTag(repository: string, tag: string, context: RecordingContext): Promise<boolean> {
    if (!this.#holds(context)) return false;
    this.#catalogue.tagsOf(repository).delete(tag);
    return true;
  }

  async removeImage(key: ImageKey, context: RecordingContext): Promise<boolean> {
    if (!this.#holds(context)) return false;
    this.#catalogue.images.delete(imageId(key.repository, key.digest));
    const tags = this.#catalogue.tagsOf(key.repository);
    for (const [tag, digest] of tags) if (digest === key.digest) tags.delete(tag);
    return true;
  }

  async resolve(repository: string, reference: Reference): Promise<ResolvedImage | undefined> {
    const digest = reference.kind === 'digest' ? reference.digest : this.#catalogue.tagsOf(repository).get(reference.tag);
    const found = digest === undefined ? undefined : this.#find(repository, digest);
    if (found === undefined) return undefined;
    const image = { ...found, tags: this.#tagsOfImage(found) };
    if (found.kind === 'image') return { image, images: [found] };
    return { image, images: found.children.map((child) => this.#find(repository, child.digest)).filter((child) => child !== undefined) };
  }

  async list(repository: string, page: { readonly after?: ImageCursor; readonly limit: number }): Promise<TaggedImage[]> {
    const { after } = page;
    const older = (image: RecordedImage): boolean => after === undefined || newestFirst(after, image) < 0;
    return [...this.#catalogue.images.values()]
      .filter((image) => image.repository === repository && older(image))
      .toSorted(newestFirst)
      .slice(0, page.limit)
      .map((image) => ({ ...image, tags: this.#tagsOfImage(image) }));
  }

  async tags(repository: string, page: { readonly after?: string; readonly limit: number }): Promise<RecordedTag[]> {
    return [...this.#catalogue.tagsOf(repository)]
      .map(([tag, digest]) => ({ repository, tag, digest }))
      .filter(({ tag }) => tag > (page.after ?? ''))
      .toSorted((a, b) => (a.tag < b.tag ? -1 : 1))
      .slice(0, page.limit);
  }

  async imagesByLayer(layer: Digest, page: { readonly after?: ImageKey; readonly limit: number }): Promise<ImageKey[]> {
    const { after } = page;
    return [...this.#catalogue.images.values()]
      .filter((image) => image.layers.some((each) => each.digest === layer) && (after === undefined || byKey(after, image) < 0))
      .toSorted(byKey)
      .slice(0, page.limit)
      .map(({ repository, digest }) => ({ repository, digest }));
  }

  async referencedLayers(layers: readonly Digest[]): Promise<Set<Digest>> {
    const enabled = [...this.#catalogue.images.values()].filter((image) => this.#catalogue.repositories.get(image.repository)?.enabled === true);
    const all = new Set(enabled.flatMap((image) => [...image.layers.map((layer) => layer.digest), ...(image.viewDigest === undefined ? [] : [image.viewDigest])]));
    return new Set(layers.filter((layer) => all.has(layer)));
  }

  #holds({ claimId }: RecordingContext): boolean {
    return claimId === undefined || this.#catalogue.claimedExamination(claimId) !== undefined;
  }

  #find(repository: string, digest: Digest): RecordedImage | undefined {
    return this.#catalogue.images.get(imageId(repository, digest));
  }

  #write(image: Image, pushedAt: Date): void {
    const known = this.#find(image.repository, image.digest);
    const latest = known === undefined || known.pushedAt < pushedAt ? pushedAt : known.pushedAt;
    const viewDigest = viewDigestOf(image);
    this.#catalogue.images.set(imageId(image.repository, image.digest), { ...image, ...(viewDigest === undefined ? {} : { viewDigest }), pushedAt: latest });
  }

  #tagsOfImage({ repository, digest }: ImageKey): string[] {
    return [...this.#catalogue.tagsOf(repository)].filter(([, pointsTo]) => pointsTo === digest).map(([tag]) => tag).toSorted().slice(0, TAGS_PER_IMAGE_MAX);
  }
}

function newestFirst(one: ImageCursor, other: ImageCursor): number {
  return other.pushedAt.getTime() - one.pushedAt.getTime() || (one.digest > other.digest ? -1 : one.digest < other.digest ? 1 : 0);
}
