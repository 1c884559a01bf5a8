import type { Digest, Platform } from '#oci';

/** A manifest's place: a digest alone is no image, for authorisation is by repository. */
export interface ImageKey {
  readonly repository: string;
  readonly digest: Digest;
}

/** A tag's name in its repository. */
export interface TagKey {
  readonly repository: string;
  readonly tag: string;
}

/** A tag and the manifest it points to. */
export interface RecordedTag extends TagKey {
  readonly digest: Digest;
}

/** One layer of an image, as its manifest and config name it. */
export interface ImageLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** An entry of an index that the platform policy wants. */
export interface IndexChild {
  readonly digest: Digest;
  readonly platform: Platform;
}

/** A manifest as the registry has it; its digest fixes everything but the chosen children. */
export interface Image extends ImageKey {
  readonly kind: 'image' | 'index';
  readonly mediaType: string;
  /** Of the manifest itself. */
  readonly sizeBytes: number;
  /** Only of an image. */
  readonly platform?: Platform;
  /** When it was built, as its builder says; only of an image, and not always. */
  readonly createdAt?: Date;
  /** The lowest first; empty for an index. */
  readonly layers: readonly ImageLayer[];
  /** The images of an index that the policy wants, in its order; empty for an image. */
  readonly children: readonly IndexChild[];
}

/** An image that is recorded. */
export interface RecordedImage extends Image {
  /** The digest of the image's merged view, as the version that recorded it last defines it; absent for an index, and for an image that needs none. */
  readonly viewDigest?: Digest;
  /** The latest push that is known, or, for images that were there before us, when they were built. */
  readonly pushedAt: Date;
}
