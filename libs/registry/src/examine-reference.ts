import type { Claimed } from '#claims';
import {
  chooseChildren, CONFIG_BYTES_MAX, type Descriptor, type ImageIndex, type ImageManifest, isImageConfigType, OciError, type OciErrorCode, parseImageConfig,
  parseManifest, parseReference, type PlatformPolicy, type Reference, wantsPlatform,
} from '#oci';

import type { Examination } from './examination-store.js';
import type { Image } from './image.js';
import type { ImageStore, RecordingContext } from './image-store.js';
import { isUnknown, RegistryError } from './registry-error.js';
import type { FetchedManifest, RegistryReader } from './registry-reader.js';
import type { RepositoryStore } from './repository-store.js';

/** What an examination found and recorded. */
export interface ExaminedReference {
  readonly repository: string;
  readonly reference: Reference;
  /** The image or index that it points to. */
  readonly image: Image;
  /** The image itself, or those of an index that the policy wants: their layers are what should be expanded. */
  readonly images: readonly Image[];
  /** Whether a push asked for it; false for backfills. */
  readonly pushed: boolean;
}

/**
 * Told of what examinations change, before the examination is settled. Every call may be repeated for the same
 * examination and must then change nothing more; when one throws, the examination is tried again.
 */
export abstract class ExaminedImages {
  /**
   * An image or index is about to be recorded: whoever sees it then must see that its layers are wanted, or would take it for an image of which nothing will be expanded. It may turn out that it is
   * not recorded after all.
   */
  abstract found(examined: ExaminedReference): Promise<void>;
  /** An image or index was recorded: its layers should be expanded, its repository's placement reconsidered. */
  abstract recorded(examined: ExaminedReference): Promise<void>;
  /** A tag or a manifest is gone from the registry, or is no image that can be served, and was forgotten. */
  abstract removed(repository: string, reference: Reference): Promise<void>;
}

/** What {@link examineReference} works with. */
export interface ExaminationTools {
  readonly client: RegistryReader;
  readonly images: ImageStore;
  readonly repositories: RepositoryStore;
  readonly recorded: ExaminedImages;
  readonly platforms: PlatformPolicy;
  readonly now: () => Date;
}

/** What came of an examination: `lost` when another worker has it meanwhile and nothing was written. */
export type ExaminationOutcome =
  | { readonly kind: 'recorded'; readonly examined: ExaminedReference }
  | { readonly kind: 'removed' }
  | { readonly kind: 'unusable'; readonly reason: string }
  | { readonly kind: 'repository-not-enabled' }
  | { readonly kind: 'lost' };

/**
 * Looks a reference up in the registry and records what is found: an image of a wanted platform, or an index with its wanted images; what is
 * not there, or can never be served, is forgotten. The registry's answer alone counts, so that it may run at any time and any number of times.
 * Whoever calls settles the examination afterwards.
 * @throws whatever the registry's client or the stores throw when no answer can be had now; the examination is then tried again.
 */
export async function examineReference(tools: ExaminationTools, claimed: Claimed<Examination>, signal?: AbortSignal): Promise<ExaminationOutcome> {
  const { repository, reference: text, pushedAt } = claimed.item;
  const reference = parseReference(text);
  if ((await tools.repositories.get(repository))?.enabled !== true) return { kind: 'repository-not-enabled' };
  const context: RecordingContext = { now: tools.now(), claimId: claimed.claim.id };
  const found = await findImages(tools, repository, reference, signal);
  if (!('image' in found)) {
    if (!(await forget(tools.images, repository, reference, context))) return { kind: 'lost' };
    await tools.recorded.removed(repository, reference);
    return found;
  }
  const { image, images } = found;
  const recording = {
    repository,
    image,
    children: image.kind === 'index' ? images : [],
    ...(reference.kind === 'tag' ? { tag: reference.tag } : {}),
    ...(pushedAt === undefined ? {} : { pushedAt }),
  };
  const examined = { repository, reference, image, images, pushed: pushedAt !== undefined };
  await tools.recorded.found(examined);
  if (!(await tools.images.record(recording, context))) return { kind: 'lost' };
  await tools.recorded.recorded(examined);
  return { kind: 'recorded', examined };
}

function forget(images: ImageStore, repository: string, reference: Reference, context: RecordingContext): Promise<boolean> {
  if (reference.kind === 'tag') return images.removeTag(repository, reference.tag, context);
  return images.removeImage({ repository, digest: reference.digest }, context);
}

type Found = Pick<ExaminedReference, 'image' | 'images'> | Extract<ExaminationOutcome, { kind: 'removed' | 'unusable' }>;

/** Documents that will never be readable, however often they are asked for; wrong bytes on the way are not among them. */
const NEVER_READABLE: ReadonlySet<OciErrorCode> = new Set(['MANIFEST_INVALID', 'CONFIG_INVALID', 'MEDIA_TYPE_UNSUPPORTED']);

function isNeverReadable(error: unknown): error is Error {
  if (error instanceof OciError) return NEVER_READABLE.has(error.code);
  return error instanceof RegistryError && (error.code === 'RESPONSE_TOO_LARGE' || error.code === 'BLOB_UNKNOWN');
}

async function findImages(tools: ExaminationTools, repository: string, reference: Reference, signal: AbortSignal | undefined): Promise<Found> {
  try {
    const fetched = await tools.client.manifest(repository, reference, signal);
    const parsed = parseManifest(fetched.bytes, fetched.mediaType);
    if (parsed.kind === 'index') return await findChildren(tools, { repository, fetched, index: parsed }, signal);
    const image = await readImage(tools, { repository, fetched, manifest: parsed }, signal);
    return image === undefined ? { kind: 'unusable', reason: 'not an image of a wanted platform' } : { image, images: [image] };
  } catch (error) {
    if (isNeverReadable(error)) return { kind: 'unusable', reason: error.message };
    if (isUnknown(error)) return { kind: 'removed' };
    throw error;
  }
}

interface Fetched {
  readonly repository: string;
  readonly fetched: FetchedManifest;
}

/** Reads the wanted images of an index. One that is missing or unreadable takes nothing from the others. */
async function findChildren(
  tools: ExaminationTools,
  { repository, fetched, index }: Fetched & { readonly index: ImageIndex },
  signal: AbortSignal | undefined,
): Promise<Found> {
  const images: Image[] = [];
  for (const entry of chooseChildren(index, tools.platforms)) {
    const image = await readChild(tools, { repository, entry }, signal);
    if (image !== undefined) images.push(image);
  }
  if (images.length === 0) return { kind: 'unusable', reason: 'an index without an image of a wanted platform' };
  const children = images.map(({ digest, platform }) => ({ digest, platform: platform ?? { os: 'unknown', architecture: 'unknown' } }));
  const image: Image = {
    repository,
    digest: fetched.digest,
    kind: 'index',
    mediaType: index.mediaType,
    sizeBytes: fetched.bytes.byteLength,
    layers: [],
    children,
  };
  return { image, images };
}

async function readChild(
  tools: ExaminationTools,
  { repository, entry }: { repository: string; entry: Descriptor },
  signal: AbortSignal | undefined,
): Promise<Image | undefined> {
  try {
    const fetched = await tools.client.manifest(repository, { kind: 'digest', digest: entry.digest }, signal);
    const manifest = parseManifest(fetched.bytes, fetched.mediaType);
    return manifest.kind === 'image' ? await readImage(tools, { repository, fetched, manifest }, signal) : undefined;
  } catch (error) {
    if (isNeverReadable(error) || isUnknown(error)) return undefined;
    throw error;
  }
}

/** @returns undefined for an artifact that is no image, or an image of a platform that nobody wants. */
async function readImage(
  tools: ExaminationTools,
  { repository, fetched, manifest }: Fetched & { readonly manifest: ImageManifest },
  signal: AbortSignal | undefined,
): Promise<Image | undefined> {
  if (!isImageConfigType(manifest.config.mediaType)) return undefined;
  const config = parseImageConfig(await readConfig(tools.client, { repository, config: manifest.config }, signal), manifest.layers.length);
  if (!wantsPlatform(tools.platforms, config.platform)) return undefined;
  return {
    repository,
    digest: fetched.digest,
    kind: 'image',
    mediaType: manifest.mediaType,
    sizeBytes: fetched.bytes.byteLength,
    platform: config.platform,
    ...(config.createdAt === undefined ? {} : { createdAt: config.createdAt }),
    // The config has been checked to have one diffID for each layer.
    layers: config.diffIds.flatMap((diffId, place) => {
      const layer = manifest.layers[place];
      return layer === undefined ? [] : [{ digest: layer.digest, diffId, mediaType: layer.mediaType, sizeBytes: layer.sizeBytes }];
    }),
    children: [],
  };
}

/** Reads an image's config whole. @throws {OciError} `CONFIG_INVALID` beyond `CONFIG_BYTES_MAX`; as `RegistryReader.blob`. */
export async function readConfig(
  client: RegistryReader,
  { repository, config }: { readonly repository: string; readonly config: Descriptor },
  signal?: AbortSignal,
): Promise<Buffer> {
  if (config.sizeBytes > CONFIG_BYTES_MAX) {
    throw new OciError('CONFIG_INVALID', `the image config is announced with ${config.sizeBytes} bytes, more than ${CONFIG_BYTES_MAX}`);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.blob(repository, config, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
