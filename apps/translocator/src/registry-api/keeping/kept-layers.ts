import type { IncomingHttpHeaders } from 'node:http';

import { type Claimed, type ClaimRequest, ClaimSource, type Postponement } from '#claims';
import type { Clock } from '#clock';
import { CodedError } from '#errors';
import { type ExpandedLayerStore, expandLayer } from '#expansion';
import type { MapFeeder } from '#mounts';
import type { Digest } from '#oci';
import { MINUTE_MS } from '#quantities';
import type { RelayedAnswer } from '#registry';
import { keepPassing, type FileToMake, type LayerRecord, type LayerRecords, type ReplicaCopy, type ReplicaStore, type UnorderedLimits, usageOf } from '#replication';
import { type FullShares, LAYER_FILE_VERSION, pieceRange, type Share, ShareError } from '#shares';
import type { Logger, Metrics } from '#telemetry';

import type { AskedPath } from '../asked-path.js';
import { BlobSpool, type SpoolLimits } from './blob-spool.js';
import { keepOrNot } from './keep-or-not.js';
import type { SpooledBlob } from './spooled-blob.js';

/** How long a layer is let pass after it could not be kept, so that one that never can be costs no expansion at every pull. */
export const FAILED_PAUSE_MS = 10 * MINUTE_MS;
/** Layers that are remembered for that; the oldest go. */
const FAILED_MAX = 1000;

/** Layers that are recalled at the same time, at most. */
const RECALLS_MAX = 16;

/** A layer that passed, and the replica that is made of it. */
export interface PassedLayer {
  readonly blob: SpooledBlob;
  readonly replica: ReplicaCopy;
  /** Whether somebody had ordered it. */
  readonly ordered: boolean;
}

/** What {@link KeptLayers} works with. */
export interface KeepingParts {
  /** Of the gateway's region. */
  readonly share: Share;
  readonly home: Share;
  readonly map: Pick<MapFeeder, 'map'>;
  readonly store: ReplicaStore;
  readonly layers: Pick<ExpandedLayerStore, 'find'>;
  readonly records: LayerRecords;
  readonly full: FullShares;
  /** Whether this process has more to do than it keeps up with: then no expansion begins. */
  readonly isBusy: () => boolean;
  readonly terms: { readonly unordered: UnorderedLimits; readonly expansionMaxMs: number; readonly folder: string; readonly spool: SpoolLimits };
  /** A layer came whole, and can be claimed. */
  readonly onWhole: () => void;
  /** A replica was given back to the copies, or up to be removed. */
  readonly onGivenBack: () => void;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * The layers that pass through a gateway on their way to nodes of its region, as work: `offer` sets one aside while it passes; whole ones are claimed here, each with the replica that is made of it, and
 * `make` makes it. What nobody ordered and fails leaves nothing; what was ordered goes back to the copies.
 */
export class KeptLayers extends ClaimSource<PassedLayer> {
  readonly #parts: KeepingParts;
  readonly #spool: BlobSpool;
  /** By claim: whether it was ordered. */
  readonly #held = new Map<string, boolean>();
  /** Layers that are being recalled. */
  readonly #recalling = new Set<Digest>();
  /** Until when layers are let pass. */
  readonly #paused = new Map<Digest, number>();

  constructor(parts: KeepingParts) {
    super();
    this.#parts = parts;
    const { terms, clock, metrics, logger, onWhole } = parts;
    this.#spool = new BlobSpool({
      folder: terms.folder,
      limits: terms.spool,
      clock,
      onWhole,
      onFailure: ({ digest }, failure, error) => {
        metrics.gatewayLayers.inc({ outcome: 'given-up', reason: failure });
        if (error !== undefined) logger.warn({ error, layer: digest }, 'a layer that passed could not be set aside');
      },
    });
    metrics.beforeScrape(async () => metrics.gatewaySpooledBytes.set(this.#spool.bytes));
  }

  /** Looks at an answer that is about to be passed on. @returns who takes its body; undefined for everything that is not kept. Never throws, waits for nothing. */
  offer(request: { readonly method: string; readonly headers: IncomingHttpHeaders }, { blob }: Pick<AskedPath, 'blob'>, { status, headers }: Pick<RelayedAnswer, 'status' | 'headers'>): SpooledBlob | undefined {
    if (request.method !== 'GET' || blob === undefined || status >= 400) return undefined;
    const { share, home, map: { map }, terms } = this.#parts;
    const length = headers['content-length'];
    const named = request.headers['x-teleport-region'];
    const answer = {
      status,
      isRange: request.headers.range !== undefined,
      encoding: headers['content-encoding'],
      lengthBytes: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
      namedRegion: typeof named === 'string' ? named.trim() : undefined,
    };
    const layer = {
      isEnabled: map.enabled(blob.repository) === true,
      expansion: map.layer(blob.digest)?.expansion,
      atHome: map.replicaState(blob.digest, home.name),
      here: map.replicaState(blob.digest, share.name),
    };
    const why = keepOrNot(answer, layer, { region: share.region, unorderedBytesMax: terms.unordered.bytesMax }) ?? this.#pauseOf(blob.digest);
    if (why === 'DRAINING') void this.#recall(blob.digest);
    const opened = why ?? this.#spool.open({ ...blob, sizeBytes: answer.lengthBytes ?? 0 });
    if (typeof opened !== 'string') return opened;
    this.#declined(opened);
    return undefined;
  }

  /** Whole layers, each with its replica claimed; those that are not to be kept are let go. None while the process is busy: what passes comes first. */
  async claim(request: ClaimRequest): Promise<Claimed<PassedLayer>[]> {
    const claimed: Claimed<PassedLayer>[] = [];
    if (this.#parts.isBusy()) return claimed;
    for (let blob = this.#spool.takeWhole(); blob !== undefined; blob = claimed.length < request.limit ? this.#spool.takeWhole() : undefined) {
      let taken: Claimed<PassedLayer> | undefined;
      try {
        taken = await this.#take(blob, request);
      } catch (error) {
        this.#failed(blob, error);
      }
      if (taken === undefined) await blob.discard();
      else claimed.push(taken);
    }
    return claimed;
  }

  async renew(claimIds: readonly string[], now: Date, leaseMs: number): Promise<Set<string>> {
    const kept = await this.#parts.store.copies.renew(claimIds, now, leaseMs);
    for (const id of claimIds) if (!kept.has(id)) this.#held.delete(id);
    return kept;
  }

  release(claimId: string): Promise<boolean> {
    return this.#giveBack(claimId, 'the gateway stopped before it was made of what had passed');
  }

  /** The bytes are gone with this try: there is nothing to wait for. */
  postpone(claimId: string, { reason }: Pick<Postponement, 'reason'>): Promise<boolean> {
    return this.#giveBack(claimId, reason);
  }

  /** Makes a claimed replica of its layer's bytes and settles the claim. @throws as `keepPassing` and `expandLayer`. */
  async make({ item: { blob, replica, ordered }, claim }: Claimed<PassedLayer>, stop: AbortSignal): Promise<void> {
    const { share, metrics, logger, terms } = this.#parts;
    const signal = AbortSignal.any([stop, AbortSignal.timeout(terms.expansionMaxMs)]);
    try {
      const record = await keepPassing({ ...this.#parts, shares: new Map([[share.name, share]]), expand: (file) => expandSpooled(blob, file) }, { item: replica, claim }, signal);
      const savedBytes = contentBytes(record);
      metrics.gatewayLayers.inc({ outcome: 'kept', reason: ordered ? 'ORDERED' : 'UNORDERED' });
      metrics.gatewayKeptBytes.inc({ ordered: ordered ? 'yes' : 'no' }, savedBytes);
      logger.info({ layer: blob.digest, repository: blob.repository, region: share.region, ordered, savedBytes }, 'a layer that passed through was kept');
      this.#held.delete(claim.id);
    } catch (error) {
      this.#failed(blob, error);
      this.#pause(blob.digest);
      await this.#noteIfFull(error, stop);
      throw error;
    } finally {
      await blob.discard();
    }
  }

  /** Takes nothing more; what is being made goes on. */
  stop(): Promise<void> {
    return this.#spool.stop();
  }

  async #take(blob: SpooledBlob, { owner, now, leaseMs }: ClaimRequest): Promise<Claimed<PassedLayer> | undefined> {
    const { share, store, layers, terms } = this.#parts;
    const [record] = await layers.find([blob.digest]);
    if (record?.expanded === undefined || record.stacks !== undefined) return this.#declined('NOT_EXPANDED');
    if (record.expanded.writerVersion !== LAYER_FILE_VERSION) return this.#declined('OLD_VERSION');
    const passing = {
      layer: blob.digest,
      sizeBytes: record.expanded.vhd.sizeBytes,
      reason: `passed through the gateway of ${share.region}`,
      unordered: terms.unordered,
    };
    const outcome = await store.takePassing(share, passing, { owner, now, leaseMs });
    this.#gaveWay(outcome.gaveWay.length);
    if ('refused' in outcome) return this.#declined(outcome.refused);
    const { claimed: { item: replica, claim }, ordered } = outcome;
    this.#held.set(claim.id, ordered);
    return { item: { blob, replica, ordered }, claim };
  }

  /** What passed, gave way and passes again has its file still: nothing has to be made. */
  async #recall(layer: Digest): Promise<void> {
    const { share, store, clock, metrics, logger } = this.#parts;
    if (this.#recalling.has(layer) || this.#recalling.size >= RECALLS_MAX) return;
    this.#recalling.add(layer);
    try {
      if (await store.recallPassed({ layer, share: share.name }, clock.now())) metrics.gatewayLayers.inc({ outcome: 'recalled', reason: 'PASSED_AGAIN' });
    } catch (error) {
      logger.warn({ error, layer }, 'a layer that passes again could not be recalled');
    } finally {
      this.#recalling.delete(layer);
    }
  }

  /** Their removals wait until their grace is over. */
  #gaveWay(count: number): void {
    if (count > 0) this.#parts.metrics.gatewayLayers.inc({ outcome: 'gave-way', reason: 'PASSED_EARLIER' }, count);
  }

  async #giveBack(claimId: string, reason: string): Promise<boolean> {
    const { store, clock, onGivenBack } = this.#parts;
    const ordered = this.#held.get(claimId);
    this.#held.delete(claimId);
    const given = ordered === false ? await store.abandon(claimId, reason, clock.now()) : await store.copies.release(claimId);
    onGivenBack();
    return given;
  }

  #pauseOf(layer: Digest): 'SHARE_FULL' | 'FAILED_BEFORE' | undefined {
    const { full, share, clock } = this.#parts;
    const now = clock.now();
    if (full.pausedUntil(share.name, now) !== undefined) return 'SHARE_FULL';
    return (this.#paused.get(layer) ?? 0) > now.getTime() ? 'FAILED_BEFORE' : undefined;
  }

  #pause(layer: Digest): void {
    this.#paused.delete(layer);
    this.#paused.set(layer, this.#parts.clock.now().getTime() + FAILED_PAUSE_MS);
    const [oldest] = this.#paused.keys();
    if (this.#paused.size > FAILED_MAX && oldest !== undefined) this.#paused.delete(oldest);
  }

  async #noteIfFull(error: unknown, signal: AbortSignal): Promise<void> {
    const { full, share, clock } = this.#parts;
    if (error instanceof ShareError && error.code === 'SHARE_FULL') full.note(share.name, await usageOf(share, signal), clock.now());
  }

  #declined(reason: string): undefined {
    this.#parts.metrics.gatewayLayers.inc({ outcome: 'declined', reason });
  }

  #failed({ digest }: SpooledBlob, error: unknown): void {
    this.#parts.metrics.gatewayLayers.inc({ outcome: 'failed', reason: error instanceof CodedError ? String(error.code) : 'OTHER' });
    this.#parts.logger.warn({ error, layer: digest }, 'a layer that passed could not be kept');
  }
}

async function expandSpooled(blob: SpooledBlob, { layer, record, share, claimId, isHeld, signal }: FileToMake): Promise<void> {
  await expandLayer({ layer: { digest: layer, sizeBytes: blob.sizeBytes }, blob: blob.chunks(signal), share, claimId, isHeld, signal, expectedVhd: record.vhd.digest });
}

/** What a copy would have moved: the pieces that are no holes. */
function contentBytes({ pieceCrc64s, vhd }: LayerRecord): number {
  return pieceCrc64s.reduce((sum, crc64, piece) => sum + (crc64 === null ? 0 : pieceRange(piece, vhd.sizeBytes).length), 0);
}
