import { mergedViewDigest } from '#expansion';
import type { Digest, Reference } from '#oci';

import type { Image, ImageKey, RecordedImage, RecordedTag } from './image.js';

/** What one examination found: written whole or not at all. */
export interface ImageRecording {
  readonly repository: string;
  /** What the reference points to; its key's repository is the recording's. */
  readonly image: Image;
  /** The images of an index; empty for an image. */
  readonly children: readonly Image[];
  /** The tag that points to `image`; absent when it was asked for by digest. */
  readonly tag?: string;
  /** When it was pushed, if a push told of it; else an image's own time of building counts, or `now`. Never later than `now`. */
  readonly pushedAt?: Date;
}

/** Under which authority something is written. */
export interface RecordingContext {
  readonly now: Date;
  /** The claim of the examination that found it: when it is no longer held, nothing is written. Undefined writes in any case. */
  readonly claimId: string | undefined;
}

/** Tags of one image that are told, at most: the first ones. */
export const TAGS_PER_IMAGE_MAX = 1000;

/** What a reference points to. */
export interface ResolvedImage {
  readonly image: TaggedImage;
  /** The image itself, or the recorded children of an index in its order, each with its platform and layers. */
  readonly images: readonly RecordedImage[];
}

/** An image with the tags that point to it. */
export interface TaggedImage extends RecordedImage {
  /** In ascending order; the first {@link TAGS_PER_IMAGE_MAX}. */
  readonly tags: readonly string[];
}

/** Where a page of images, newest first, goes on. */
export interface ImageCursor {
  readonly pushedAt: Date;
  readonly digest: Digest;
}

/** Images of one page at most. */
export const IMAGES_PAGE_MAX = 1000;

/**
 * The manifests of enabled repositories as the registry has them: images with their layers, indexes with their children, tags. An image that
 * no tag and no index names any more stays recorded while the registry has it: it can still be pulled by its digest.
 */
export abstract class ImageStore {
  /**
   * Records an image, or an index with its images, and its tag, in one transaction, each image with the digest of its merged view. Repeating it changes
   * nothing; `pushedAt` only grows; after an upgrade that made another version of files, the view is the new one.
   * @returns false when the claim was lost and nothing was written.
   */
  abstract record(recording: ImageRecording, context: RecordingContext): Promise<boolean>;

  /** Forgets a tag; its image stays. Unknown ones are no error. @returns false when the claim was lost and nothing was written. */
  abstract removeTag(repository: string, tag: string, context: RecordingContext): Promise<boolean>;

  /**
   * Forgets an image or index with its layer rows and the tags that point to it. The images of an index stay, and so does an index that
   * names it. Unknown ones are no error. @returns false when the claim was lost and nothing was written.
   */
  abstract removeImage(key: ImageKey, context: RecordingContext): Promise<boolean>;

  /** What a reference points to, from the record alone: two queries. Undefined when it is not recorded. */
  abstract resolve(repository: string, reference: Reference): Promise<ResolvedImage | undefined>;

  /** Images and indexes of a repository, newest first; `limit` from 1 to {@link IMAGES_PAGE_MAX}. */
  abstract list(repository: string, page: { readonly after?: ImageCursor; readonly limit: number }): Promise<TaggedImage[]>;

  /** The tags of a repository in ascending order, those after `after`; `limit` from 1 to {@link IMAGES_PAGE_MAX}. */
  abstract tags(repository: string, page: { readonly after?: string; readonly limit: number }): Promise<RecordedTag[]>;

  /** The images that have a layer, in the order of their keys, those after `after`; `limit` from 1 to {@link IMAGES_PAGE_MAX}. */
  abstract imagesByLayer(layer: Digest, page: { readonly after?: ImageKey; readonly limit: number }): Promise<ImageKey[]>;

  /** Which of `layers` an image of an enabled repository has, as a layer or as its merged view: those must not be lost. One query for any number up to 10,000. */
  abstract referencedLayers(layers: readonly Digest[]): Promise<Set<Digest>>;
}

/** The digest under which the merged view of an image is known; undefined for an index, and for an image that needs none. */
export function viewDigestOf(image: Image): Digest | undefined {
  return image.kind === 'index' ? undefined : mergedViewDigest(image.layers.map((layer) => layer.digest));
}

/** When an image counts as pushed: see {@link ImageRecording.pushedAt}. */
export function pushedAtOf(image: Image, recording: Pick<ImageRecording, 'pushedAt'>, now: Date): Date {
  const at = recording.pushedAt ?? image.createdAt ?? now;
  return at > now ? now : at;
}
