import { after } from '#clock';
import type { Digest } from '#oci';

import type { CallerNetwork } from './caller-networks.js';
import type { HeldReplica } from './lease.js';
import type { LayerRecord, MappedImageLayer } from './layer-record.js';
import type { ExpandedFile, HashTreePlace, MappedReplicaState } from './map-row.js';
import { type AnsweredLayer, type BlobLayer, blobUrl, type LayerMount, type MergedView, type PullReason, type Transport, type ViewDevice } from './mount-answer.js';
import type { LayerFile, MountSources } from './mount-sources.js';
import type { NearShares, PlacedShare } from './near-shares.js';

/** Mounts given for one layer, at most: a node tries two or three before it takes the blob. */
export const MOUNTS_PER_LAYER_MAX = 8;
/** An estimate is never nearer than this: asking again sooner is no use. */
const EXPECTED_MIN_MS = 1000;

/** A share that may be given, with the number by which the map's records know it; undefined while it has no replica at all. */
export interface NumberedShare {
  readonly share: PlacedShare;
  readonly number: number | undefined;
}

/** What the layers of one answer have in common. */
export interface LayerContext {
  readonly repository: string;
  /** Undefined when the caller's region is unknown. */
  readonly near: readonly NumberedShare[] | undefined;
  readonly distances: NearShares;
  /** The far shares, best first, from which a mount beats the blob of that many bytes. */
  readonly far: (sizeBytes: number) => readonly NumberedShare[];
  readonly sources: MountSources;
  /** What the caller's address says. */
  readonly caller: CallerNetwork | undefined;
  readonly now: Date;
  readonly expansionBytesPerSecond: number;
  /** Why no layer at all is mounted; undefined when each is looked at. */
  readonly onlyBlobs: PullReason | undefined;
  /** Undefined: any. */
  readonly transports: ReadonlySet<Transport> | undefined;
  readonly have: ReadonlySet<Digest> | undefined;
  /** Takes the replicas that the answer hands out. */
  readonly held: HeldReplica[];
}

const REPLICA_REASONS: Readonly<Record<Exclude<MappedReplicaState, 'ready'>, PullReason>> = {
  wanted: 'REPLICA_WANTED',
  copying: 'REPLICA_COPYING',
  draining: 'REPLICA_DRAINING',
};
/** Which state explains best why there is no mount: the one that is nearest to `ready`. */
const REPLICA_RANK: Readonly<Record<Exclude<MappedReplicaState, 'ready'>, number>> = { draining: 1, wanted: 2, copying: 3 };

/** A layer as its blob. */
export function blobLayer(repository: string, digest: Digest, reason: PullReason, expectedAt?: Date): BlobLayer {
  return { digest, kind: 'blob', url: blobUrl(repository, digest), reason, ...(expectedAt === undefined ? {} : { expectedAt: expectedAt.toISOString() }) };
}

/** Decides one layer of an image: a mount when a ready replica is near and can be reached, otherwise the blob and why. Never throws. */
export function answerLayer(layer: MappedImageLayer, context: LayerContext): AnsweredLayer {
  const { repository, near, onlyBlobs, have } = context;
  const { record, digest } = layer;
  if (have?.has(digest) === true) return blobLayer(repository, digest, 'ALREADY_HELD');
  if (onlyBlobs !== undefined) return blobLayer(repository, digest, onlyBlobs);
  if (near === undefined) return blobLayer(repository, digest, 'REGION_UNKNOWN');
  const { expansion } = record;
  switch (expansion?.state) {
    case undefined:
      return blobLayer(repository, digest, 'LAYER_UNKNOWN');
    case 'wanted':
      return blobLayer(repository, digest, 'LAYER_WANTED');
    case 'expanding':
      return blobLayer(repository, digest, 'LAYER_EXPANDING', expansionExpectedAt(layer.sizeBytes - (expansion.doneBytes ?? 0), context));
    case 'refused':
      return blobLayer(repository, digest, 'LAYER_REFUSED');
    case 'expanded':
      break;
  }
  const { diffId, vhd } = expansion;
  if (diffId === undefined || diffId !== layer.diffId) return blobLayer(repository, digest, 'DIFF_ID_MISMATCH');
  const file = { record, writerVersion: expansion.writerVersion };
  const nearby = findMounts(file, near, context);
  const far = nearby.mounts.length > 0 ? undefined : findMounts(file, context.far(layer.sizeBytes), context);
  const found = far !== undefined && far.mounts.length > 0 ? far : nearby;
  if (found.mounts.length > 0) return { digest, diffId, kind: 'mount', filesystem: 'erofs', vhd, ...verityOf(expansion), mounts: found.mounts };
  const copyingTo = found.reason === 'REPLICA_COPYING' ? found.share : undefined;
  const expectedAt = copyingTo === undefined ? undefined : soon(context.now, context.distances.copyFromHomeMs(copyingTo.region, vhd.sizeBytes));
  return blobLayer(repository, digest, found.reason, expectedAt);
}

/**
 * Adds the merged view to the layers of its image, answered before: when it is expanded and a ready replica is near, and when the caller gets or has every
 * layer, because the view is of no use without one of them. A layer that the caller says it has counts only while it is mountable by its record: what the
 * caller has may be another file. Never throws.
 * @param image with its layers, the lowest first.
 */
export function answerView(
  image: { readonly view: LayerRecord | undefined; readonly layers: readonly MappedImageLayer[] },
  answered: readonly AnsweredLayer[],
  context: LayerContext,
): MergedView | undefined {
  const { view, layers } = image;
  if (view?.expansion?.state !== 'expanded' || context.near === undefined || context.onlyBlobs !== undefined) return undefined;
  if (!answered.every((layer) => layer.kind === 'mount' || layer.reason === 'ALREADY_HELD')) return undefined;
  const devices = devicesOf(layers);
  if (devices === undefined) return undefined;
  const { writerVersion, vhd } = view.expansion;
  const { mounts } = findMounts({ record: view, writerVersion }, context.near, context);
  if (mounts.length === 0) return undefined;
  return { digest: view.digest, filesystem: 'erofs', vhd, ...verityOf(view.expansion), devices, mounts };
}

/** The files of these layers in the order of their first appearance; undefined when one is not expanded, or is not what the image says of it. */
function devicesOf(layers: readonly MappedImageLayer[]): readonly ViewDevice[] | undefined {
  const devices = new Map<Digest, ViewDevice>();
  for (const { digest, diffId, record: { expansion } } of layers) {
    if (expansion?.state !== 'expanded' || expansion.diffId === undefined || expansion.diffId !== diffId) return undefined;
    if (!devices.has(digest)) devices.set(digest, { digest, vhd: expansion.vhd });
  }
  return [...devices.values()];
}

function verityOf({ verity }: ExpandedFile): { readonly verity?: HashTreePlace } {
  return verity === undefined ? {} : { verity };
}

/** When that many bytes of stored blob will have been expanded, at the usual speed. */
export function expansionExpectedAt(leftBytes: number, context: Pick<LayerContext, 'now' | 'expansionBytesPerSecond'>): Date {
  return soon(context.now, (Math.max(0, leftBytes) / context.expansionBytesPerSecond) * 1000);
}

function soon(now: Date, ms: number): Date {
  return after(now, Math.max(EXPECTED_MIN_MS, Math.ceil(ms)));
}

/** The file that a record is of. */
interface RecordedFile {
  readonly record: LayerRecord;
  readonly writerVersion: number;
}

interface FoundMounts {
  readonly mounts: readonly LayerMount[];
  /** Why `mounts` is empty, and the share that this is said of. */
  readonly reason: PullReason;
  readonly share: PlacedShare | undefined;
}

function findMounts({ record, writerVersion }: RecordedFile, near: readonly NumberedShare[], context: LayerContext): FoundMounts {
  const mounts: LayerMount[] = [];
  let reason: PullReason = 'REPLICA_NONE';
  let rank = 0;
  let explained: PlacedShare | undefined;
  for (const { share, number } of near) {
    const state = number === undefined ? undefined : record.stateOn(number);
    if (state === undefined || mounts.length >= MOUNTS_PER_LAYER_MAX) continue;
    if (state !== 'ready') {
      if (REPLICA_RANK[state] <= rank) continue;
      rank = REPLICA_RANK[state];
      reason = REPLICA_REASONS[state];
      explained = share;
      continue;
    }
    const offered = offeredMounts({ digest: record.digest, writerVersion }, share.name, context);
    if (typeof offered === 'string') {
      // A replica that is ready but out of reach explains more than one that is on its way.
      rank = Number.POSITIVE_INFINITY;
      reason = offered;
      continue;
    }
    mounts.push(...offered.slice(0, MOUNTS_PER_LAYER_MAX - mounts.length));
    context.held.push({ layer: record.digest, share: share.name });
  }
  return { mounts, reason, share: explained };
}

/** The mounts of one ready replica that the caller can use, at least one; or why there are none. */
function offeredMounts(file: LayerFile, share: string, context: LayerContext): readonly LayerMount[] | PullReason {
  let all: readonly LayerMount[] | PullReason;
  try {
    all = context.sources.of(file, share, context.now, context.caller);
  } catch {
    // The answer carries the reason; the sources themselves report what is wrong with them.
    return 'SHARE_UNAVAILABLE';
  }
  if (typeof all === 'string') return all;
  if (all.length === 0) return 'SHARE_UNAVAILABLE';
  const { transports } = context;
  const usable = transports === undefined ? all : all.filter((mount) => transports.has(mount.type));
  return usable.length === 0 ? 'TRANSPORT_UNAVAILABLE' : usable;
}
