import { type Digest, isSamePlatform, type Platform, type Reference } from '#oci';
import { MiB, MINUTE_MS, SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import { answerLayer, answerView, blobLayer, expansionExpectedAt, type LayerContext, type NumberedShare } from './answer-layer.js';
import type { CallerNetworks } from './caller-networks.js';
import type { LayerRecord, MappedImageLayer } from './layer-record.js';
import type { MappedManifest } from './mapped-image.js';
import type { HeldReplica } from './lease.js';
import type { AnsweredLayer, MergedView, MountAnswer, PullReason, Transport } from './mount-answer.js';
import type { MountSources } from './mount-sources.js';
import type { NearShares, PlacedShare } from './near-shares.js';
import type { ReplicaMap } from './replica-map.js';

/** The platform whose image is chosen from an index when the caller names none. */
export const DEFAULT_PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };
/** Beyond this age of the map nothing is mounted any more. Removal waits for it (`removalWaitMs`), so a long one delays draining. */
export const MAP_AGE_MAX_MS = 15 * MINUTE_MS;
/** Blob bytes that one expansion is taken to read per second: for estimates only. */
export const EXPANSION_BYTES_PER_SECOND = 50 * MiB;
/** A client that waits for an expansion asks again not later than this. */
export const RETRY_AFTER_MAX_MS = 30 * SECOND_MS;

/**
 * A client is told to wait for an expansion only while every layer of the image has been wanted for less than this: what takes longer fails again and again, or
 * stands in a long line, and no pull waits for that.
 */
export const EXPANDING_ANSWER_MAX_MS = 10 * MINUTE_MS;

/** What every pull may say of the caller. */
export interface PullCaller {
  /** Where the caller is; absent or unknown means blobs. */
  readonly region?: string | undefined;
  /** The node's IP address, where it is known: what is close to its network comes first. */
  readonly address?: string | undefined;
  /** What the caller can mount by; absent means anything. */
  readonly transports?: readonly Transport[] | undefined;
  /** Layers whose expanded file it already holds. It is to compare that file with the `vhd` that {@link MergedView.devices} names. */
  readonly have?: readonly Digest[] | undefined;
  /** Answers every layer as a blob with this reason: the caller could not be checked, or there is no time to. */
  readonly onlyBlobs?: PullReason | undefined;
}

/** A pull by what a client knows: a tag or a digest, of an image or an index. */
export interface PullRequest extends PullCaller {
  readonly repository: string;
  readonly reference: Reference;
  /** Which image of an index; default {@link DEFAULT_PLATFORM}. An image itself is answered whatever its platform. */
  readonly platform?: Platform | undefined;
}

/** A pull by what a registry knows, which has authorised it: the manifest and its layers. */
export interface LookupRequest extends PullCaller {
  readonly repository: string;
  readonly manifest: Digest;
  /** In the order in which they are to be answered. */
  readonly layers: readonly Digest[];
}

/** What an answer is made from. Nothing in it waits. */
export interface AnswerContext {
  readonly map: ReplicaMap;
  readonly near: NearShares;
  readonly sources: MountSources;
  /** Default: addresses say nothing. */
  readonly networks?: CallerNetworks | undefined;
  readonly now: Date;
  /** Default {@link MAP_AGE_MAX_MS}. */
  readonly mapAgeMaxMs?: number | undefined;
  /** Default {@link EXPANSION_BYTES_PER_SECOND}. */
  readonly expansionBytesPerSecond?: number | undefined;
}

/** How far the expansion of an image is while none of its layers is expanded. Bytes are of the stored blobs. */
export interface ExpansionProgress {
  readonly digest: Digest;
  readonly layerCount: number;
  readonly wantedCount: number;
  readonly expandingCount: number;
  readonly refusedCount: number;
  readonly sizeBytes: number;
  readonly doneBytes: number;
  /** When the first of the layers that are not expanded yet was asked for. */
  readonly since: Date;
}

/** An answer, and the replicas that it hands out: what a lease on it holds. */
export interface Answered {
  readonly kind: 'answer';
  readonly answer: MountAnswer;
  readonly held: readonly HeldReplica[];
  /** True when the image is known to be of that repository: whether the pull says anything about demand. */
  readonly imageKnown: boolean;
}

/** What comes of a pull by reference. Everything but `answer` is for the transport to say in its own words. */
export type PullOutcome =
  | Answered
  /** Nothing has been loaded yet: the client should ask the registry itself. */
  | { readonly kind: 'map-not-loaded' }
  | { readonly kind: 'repository-unknown' }
  | { readonly kind: 'repository-disabled' }
  /** No such tag or digest in that repository, or no image for the platform. */
  | { readonly kind: 'image-unknown' }
  /**
   * No layer is expanded yet, some are about to be, and whoever asks can wait for it: clients of Teleport, which name no region, do. Never for more than
   * {@link EXPANDING_ANSWER_MAX_MS}, and never to a caller who could not mount. `region` is the caller's; null where it named none.
   */
  | { readonly kind: 'expanding'; readonly region: RegionName | null; readonly retryAfterMs: number; readonly progress: ExpansionProgress };

/**
 * Answers a pull by reference from the map alone. A layer is only ever found through the manifest of that repository (I4), and is
 * mounted only from a `ready` replica near the caller (I1); every other layer is a blob with its reason. Never throws, never waits.
 */
export function answerPull(request: PullRequest, context: AnswerContext): PullOutcome {
  const { map, now } = context;
  if (map.asOf === undefined) return { kind: 'map-not-loaded' };
  const { repository, reference } = request;
  const enabled = map.enabled(repository);
  if (enabled === undefined) return { kind: 'repository-unknown' };
  if (!enabled) return { kind: 'repository-disabled' };
  const named = reference.kind === 'digest' ? reference.digest : map.tagged(repository, reference.tag);
  const found = named === undefined ? undefined : findImage(map, { repository, digest: named, platform: request.platform ?? DEFAULT_PLATFORM });
  if (found === undefined) return { kind: 'image-unknown' };
  const shared = layerContext(request, context);
  if (mayWait(request, shared)) {
    const progress = expansionProgress(found.digest, found.layers);
    const waits = progress !== undefined && now.getTime() - progress.since.getTime() < EXPANDING_ANSWER_MAX_MS;
    if (waits) return { kind: 'expanding', region: request.region ?? null, retryAfterMs: retryAfterMs(progress, shared, now), progress };
  }
  const layers = found.layers.map((layer) => answerLayer(layer, shared));
  return answered({ request, digest: found.digest, context, shared }, layers, answerView(found, layers, shared));
}

/** Whether a mount would be of use to the caller at all. One without a region may be a client that learns it only from the answer. */
function mayWait({ region }: PullRequest, { onlyBlobs, transports, near }: LayerContext): boolean {
  return onlyBlobs === undefined && transports?.size !== 0 && (region === undefined || near !== undefined);
}

/**
 * Answers a pull whose manifest and layers the registry names. Always an answer: an unknown repository, an unknown manifest, or a layer that
 * this manifest does not have makes blobs. A manifest that is an index stands for all of its images.
 */
export function answerLookup(request: LookupRequest, context: AnswerContext): Answered {
  const { repository, manifest } = request;
  const shared = layerContext(request, context);
  const refusal = context.map.asOf === undefined ? 'MAP_STALE' : repositoryRefusal(context.map.enabled(repository));
  const images = refusal === undefined ? imagesOf(context.map, repository, manifest) : undefined;
  const own = images && new Map(images.flatMap((image) => image.layers).map((layer) => [layer.digest, layer]));
  const layers = request.layers.map((digest): AnsweredLayer => {
    if (own === undefined) return blobLayer(repository, digest, shared.onlyBlobs ?? refusal ?? 'IMAGE_UNKNOWN');
    const layer = own.get(digest);
    return layer === undefined ? blobLayer(repository, digest, 'LAYER_NOT_IN_IMAGE') : answerLayer(layer, shared);
  });
  const whole = images?.find((image) => isWhole(image, layers));
  return answered({ request, digest: manifest, context, shared, imageKnown: own !== undefined }, layers, whole && answerView(whole, layers, shared));
}

/**
 * The merged view for an answer that was put together from layers answered in another one: as `answerPull` adds it, where these are all layers of an image of
 * that manifest. `held` takes the view's replicas.
 */
export function answerViewOf(request: LookupRequest & { readonly answered: readonly AnsweredLayer[] }, context: AnswerContext, held: HeldReplica[]): MergedView | undefined {
  const { repository, manifest, answered: layers } = request;
  if (context.map.enabled(repository) !== true) return undefined;
  const whole = imagesOf(context.map, repository, manifest)?.find((image) => isWhole(image, layers));
  return whole && answerView(whole, layers, { ...layerContext(request, context), held });
}

/** Whether these are all layers of the image and no others, in whatever order and however often. */
function isWhole(image: ImageParts, layers: readonly AnsweredLayer[]): boolean {
  const named = new Set(layers.map((layer) => layer.digest));
  const own = new Set(image.layers.map((layer) => layer.digest));
  return named.size === own.size && image.layers.every((layer) => named.has(layer.digest));
}

function repositoryRefusal(enabled: boolean | undefined): PullReason | undefined {
  if (enabled === undefined) return 'REPOSITORY_UNKNOWN';
  return enabled ? undefined : 'REPOSITORY_DISABLED';
}

function layerContext(caller: PullCaller & { readonly repository: string }, context: AnswerContext): LayerContext {
  const { map, near, sources, now } = context;
  const stale = map.asOf === undefined || now.getTime() - map.asOf.getTime() > (context.mapAgeMaxMs ?? MAP_AGE_MAX_MS);
  const network = context.networks?.of(caller.address);
  const numbered = (share: PlacedShare): NumberedShare => ({ share, number: map.shareNumber(share.name) });
  return {
    repository: caller.repository,
    near: near.of(caller.region, network)?.map(numbered),
    far: (sizeBytes) => (caller.region === undefined ? [] : near.farBeatingBlob(caller.region, sizeBytes).map(numbered)),
    distances: near,
    sources,
    caller: network,
    now,
    expansionBytesPerSecond: context.expansionBytesPerSecond ?? EXPANSION_BYTES_PER_SECOND,
    onlyBlobs: caller.onlyBlobs ?? (stale ? 'MAP_STALE' : undefined),
    transports: caller.transports === undefined ? undefined : new Set(caller.transports),
    have: caller.have === undefined || caller.have.length === 0 ? undefined : new Set(caller.have),
    held: [],
  };
}

interface AnswerParts {
  readonly request: PullCaller & { readonly repository: string };
  readonly digest: Digest;
  readonly context: AnswerContext;
  readonly shared: LayerContext;
  /** Default true. */
  readonly imageKnown?: boolean;
}

function answered({ request, digest, context, shared, imageKnown = true }: AnswerParts, layers: readonly AnsweredLayer[], image: MergedView | undefined): Answered {
  const answer: MountAnswer = {
    schemaVersion: 1,
    repository: request.repository,
    digest,
    region: shared.near === undefined ? null : (request.region ?? null),
    asOf: context.map.asOf?.toISOString() ?? null,
    ...(image === undefined ? {} : { image }),
    layers,
  };
  return { kind: 'answer', answer, held: shared.held, imageKnown };
}

/** An image in the map: its layers, the lowest first, and the record of its merged view. */
interface ImageParts {
  readonly layers: readonly MappedImageLayer[];
  readonly view: LayerRecord | undefined;
}

interface FoundImage extends ImageParts {
  readonly digest: Digest;
}

function findImage(map: ReplicaMap, wanted: { readonly repository: string; readonly digest: Digest; readonly platform: Platform }): FoundImage | undefined {
  const { repository, digest, platform } = wanted;
  const named = map.image(repository, digest);
  if (named === undefined) return undefined;
  if (named.kind === 'image') return { digest, layers: named.layers, view: named.view };
  const child = named.children.find((each) => isSamePlatform(each.platform, platform));
  const image = child === undefined ? undefined : map.image(repository, child.digest);
  return child === undefined || image?.kind !== 'image' ? undefined : { digest: child.digest, layers: image.layers, view: image.view };
}

/** The images that a manifest of this repository stands for: itself, or those of an index. Undefined when the manifest is not known. */
function imagesOf(map: ReplicaMap, repository: string, manifest: Digest): ImageParts[] | undefined {
  const named = map.image(repository, manifest);
  if (named === undefined) return undefined;
  const images: (MappedManifest | undefined)[] = named.kind === 'image' ? [named] : named.children.map((child) => map.image(repository, child.digest));
  return images.flatMap((image) => (image?.kind === 'image' ? image : []));
}

/** The progress of an image of which nothing is expanded while something is under way; undefined for every other image. */
function expansionProgress(digest: Digest, layers: readonly MappedImageLayer[]): ExpansionProgress | undefined {
  const counts = { wanted: 0, expanding: 0, refused: 0 };
  let sizeBytes = 0;
  let doneBytes = 0;
  let since: Date | undefined;
  for (const { record, sizeBytes: layerBytes } of layers) {
    const { expansion } = record;
    if (expansion?.state === 'expanded') return undefined;
    sizeBytes += layerBytes;
    if (expansion === undefined) continue;
    counts[expansion.state] += 1;
    if (expansion.state !== 'refused' && (since === undefined || expansion.since < since)) since = expansion.since;
    if (expansion.state === 'expanding') doneBytes += expansion.doneBytes ?? 0;
  }
  if (since === undefined) return undefined;
  return {
    digest,
    layerCount: layers.length,
    wantedCount: counts.wanted,
    expandingCount: counts.expanding,
    refusedCount: counts.refused,
    sizeBytes,
    doneBytes,
    since,
  };
}

function retryAfterMs(progress: ExpansionProgress, shared: LayerContext, now: Date): number {
  const waitMs = expansionExpectedAt(progress.sizeBytes - progress.doneBytes, shared).getTime() - now.getTime();
  return Math.min(RETRY_AFTER_MAX_MS, waitMs);
}
