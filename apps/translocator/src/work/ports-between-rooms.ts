import { randomUUID } from 'node:crypto';

import type { Clock } from '#clock';
import { type ExpandedLayerStore, HomeReplicas } from '#expansion';
import type { LeaseStore } from '#mounts';
import type { Digest } from '#oci';
import { HOUR_MS } from '#quantities';
import type { ImageStore } from '#registry';
import {
  type LayerRecord,
  LayerRecords,
  LayerReferences,
  type ReferenceGrace,
  type ReleasableLayer,
  ReleasableLayers,
  ReplicaHolds,
  ReplicationError,
  type ReplicaStore,
  type RoomLedger,
} from '#replication';
import { type Share, ShareError } from '#shares';

/**
 * The part of the home share's capacity up to which an image's claim of a layer's size is believed before the layer is expanded: a false one must not keep the
 * layer from all other images for ever. What is larger is begun when this much is free, and ends at the share's quota.
 */
const BELIEVED_RATIO = 1 / 4;
/** How long room stays reserved of which nobody tells the end: longer than an expansion takes. Whoever expands the layer after a crash takes it over. */
const RESERVED_MS = 6 * HOUR_MS;

/** A file that is about to be made. */
export interface LikelyFile {
  /** Of the layer, or of the merged view. */
  readonly layer: Digest;
  /** What it will probably have. */
  readonly likelyBytes: number;
}

/** Where expansion notes what the home share holds, and asks whether it holds more: among the replicas. */
export class StoredHomeReplicas extends HomeReplicas {
  /** The reservations for what this process expands. */
  readonly #reserved = new Map<Digest, string>();

  constructor(
    private readonly replicas: ReplicaStore,
    private readonly clock: Clock,
    private readonly room: RoomLedger,
  ) {
    super();
  }

  async ready(layer: Digest, share: string, sizeBytes: number): Promise<void> {
    const now = this.clock.now();
    if (await this.replicas.recordReady({ layer, share, sizeBytes, reason: 'expanded here' }, now)) {
      // Nobody copies while there is no record: what is ready elsewhere is the file of an earlier expansion, which was found damaged, or has another version.
      const others = (await this.replicas.find([layer])).filter((replica) => replica.state === 'ready' && replica.share !== share);
      for (const replica of others) await this.replicas.lose(replica, `the layer was expanded again on ${share}`, now);
      return;
    }
    throw new ReplicationError('REPLICA_DRAINING', `the replica of ${layer} on ${share} is being removed; it is recorded when that is done`, { transient: true });
  }

  /**
   * Reserves room for a layer; to be called before it is expanded onto `share` (I6). Expansions that run at the same time, here or elsewhere, see each
   * other's reservations. A layer that is noted there already counts already.
   * @throws {ShareError} `SHARE_FULL`, transient, when the share has not the room that the layer will probably take.
   */
  async ensureRoom(share: Share, { layer, likelyBytes: estimatedBytes }: LikelyFile): Promise<void> {
    const likelyBytes = Math.min(estimatedBytes, Math.floor(share.capacityBytes * BELIEVED_RATIO));
    const id = randomUUID();
    const { reserved, roomBytes } = await this.room.reserve(share, { id, layer, bytes: likelyBytes, holdMs: RESERVED_MS }, this.clock.now());
    if (reserved) {
      this.#reserved.set(layer, id);
      return;
    }
    const details = { share: share.name, layer, likelyBytes, roomBytes };
    throw new ShareError('SHARE_FULL', `${share.name} has room for ${Math.max(0, roomBytes)} bytes, and the layer takes about ${likelyBytes}`, { transient: true, details });
  }

  /** Ends this process's reservation for a layer, if it has one: the layer is noted by now, or its expansion failed. */
  async endRoom(share: Share, layer: Digest): Promise<void> {
    const id = this.#reserved.get(layer);
    if (id === undefined) return;
    this.#reserved.delete(layer);
    await this.room.release(share.name, { layer, id });
  }
}

/** What copies are compared with: the records of expansion. */
export class ExpandedLayerRecords extends LayerRecords {
  constructor(private readonly layers: ExpandedLayerStore) {
    super();
  }

  async find(layer: Digest): Promise<LayerRecord | undefined> {
    const [record] = await this.layers.find([layer]);
    return record?.expanded;
  }
}

/** Which layers are parts of images: what the catalogue says. */
export class CatalogueReferences extends LayerReferences {
  constructor(private readonly images: ImageStore) {
    super();
  }

  referenced(digests: readonly Digest[]): Promise<Set<Digest>> {
    return this.images.referencedLayers(digests);
  }
}

/** Who holds replicas: the leases. */
export class LeasedReplicas extends ReplicaHolds {
  constructor(private readonly leases: LeaseStore) {
    super();
  }

  heldUntil(layer: Digest, share: string, now: Date): Promise<Date | undefined> {
    return this.leases.heldUntil(layer, share, now);
  }

  endRenewals(layer: Digest, share: string, now: Date): Promise<number> {
    return this.leases.endRenewals(layer, share, now);
  }
}

/** The layers that may be released: all that expansion knows. */
export class ExpandedReleasableLayers extends ReleasableLayers {
  constructor(private readonly layers: ExpandedLayerStore) {
    super();
  }

  async page(after: Digest | undefined, limit: number): Promise<ReleasableLayer[]> {
    const records = await this.layers.page(after, limit);
    return records.map(({ digest, state, unreferencedSince }) => ({
      digest,
      expanded: state === 'expanded',
      ...(unreferencedSince === undefined ? {} : { unreferencedSince }),
    }));
  }

  markUnreferenced(digests: readonly Digest[], now: Date): Promise<void> {
    return this.layers.markUnreferenced(digests, now);
  }

  clearUnreferenced(digests: readonly Digest[]): Promise<void> {
    return this.layers.clearUnreferenced(digests);
  }

  unreferencedFor(grace: ReferenceGrace, after: Digest | undefined, limit: number): Promise<Digest[]> {
    return this.layers.unreferencedFor(grace, after, limit);
  }

  expandAgain(digest: Digest, now: Date): Promise<boolean> {
    return this.layers.expandAgain(digest, now);
  }

  forget(digest: Digest): Promise<boolean> {
    return this.layers.forget(digest);
  }
}
