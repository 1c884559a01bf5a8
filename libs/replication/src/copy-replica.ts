import type { Claimed } from '#claims';
import type { Clock } from '#clock';
import type { RegionMap } from '#regions';
import { copyPartialPath, isCopyPartialPath, layerFileMetadata, layerFilePath, pieceRange, removePartialFiles, type Share, ShareError, type ShareFile } from '#shares';

import { copyPieces, type SuspectRelay } from './copy-pieces.js';
import { GrantedSource, orderSources } from './copy-sources.js';
import type { FanOut, FanOutSeat } from './fan-out.js';
import type { LinkBudget } from './link-budget.js';
import { PieceSet } from './piece-set.js';
import type { ReplicaCopy } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { LayerRecord, LayerRecords } from './replication-ports.js';
import { claimLost, isWhole, recordOf, settleWhole, shareNamed } from './whole-replica.js';

/** Pieces of one file that are under way at the same time, unless told otherwise: 32 × 4 MiB carry 400 MiB/s at 0.3 s a call. The share's driver admits fewer where that is too much. */
export const COPY_CONCURRENCY_DEFAULT = 32;

/** What {@link copyReplica} works with. */
export interface CopyPorts {
  readonly store: ReplicaStore;
  readonly records: LayerRecords;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  readonly regions: RegionMap;
  readonly budget: LinkBudget;
  readonly clock: Clock;
  /** Default {@link COPY_CONCURRENCY_DEFAULT}. */
  readonly pieceConcurrency?: number;
  /** Has copies of the same layer pass on to each other what they have; absent: each takes all of it from shares that have it ready. */
  readonly fanOut?: FanOut | undefined;
  /** Told of replicas whose bytes others found wrong while they were passed on. Must not throw. */
  readonly onSuspect?: ((suspect: SuspectRelay) => void) | undefined;
}

/**
 * Makes one claimed replica: copies the layer from the best share that has it, piece by piece and each compared with the record, into a partial file;
 * gives that its final name when it is whole; and settles the claim. What is thrown is tried again later and goes on where this try ended.
 *
 * It may end anywhere and be repeated by anybody: pieces are noted only when verified, the final name is only given to whole files, and a file
 * that already has it is settled without copying. When a link's bytes of the day are used up, the copy is put off to the next day.
 * @throws {ReplicationError} and what shares and stores throw.
 */
export async function copyReplica(ports: CopyPorts, claimed: Claimed<ReplicaCopy>, signal: AbortSignal): Promise<void> {
  const { checkpoint, layer } = claimed.item;
  const onJoined = checkpoint === undefined ? undefined : ports.fanOut?.expect(layer);
  try {
    await makeCopy(ports, claimed, { signal, onJoined });
  } finally {
    onJoined?.();
  }
}

/** What a copy is told besides its work: when to stop; and what to call when it has joined its fan-out. */
interface CopyTerms {
  readonly signal: AbortSignal;
  readonly onJoined: (() => void) | undefined;
}

async function makeCopy(ports: CopyPorts, claimed: Claimed<ReplicaCopy>, { signal, onJoined }: CopyTerms): Promise<void> {
  const { store, records, clock } = ports;
  const { item: replica, claim } = claimed;
  const target = shareNamed(ports.shares, replica.share);
  const record = await recordOf(records, replica.layer);
  const attempt = new CopyAttempt(ports, claimed, { target, record, signal, onJoined });
  if (!(await attempt.isThere())) {
    try {
      await attempt.fill();
      await attempt.publish();
    } catch (error) {
      await attempt.keepWhatIsDone();
      if (!(error instanceof ReplicationError) || error.code !== 'LINK_BUDGET_USED') throw error;
      const [now, retryAt] = [clock.now(), error.details['retryAt'] as Date];
      await store.copies.postpone(claim.id, { now, waitMs: Math.max(0, retryAt.getTime() - now.getTime()), reason: error.message });
      return;
    } finally {
      attempt.leave();
    }
  }
  await settleWhole(ports, claimed, record);
}

class CopyAttempt {
  readonly #ports: CopyPorts;
  readonly #claimed: Claimed<ReplicaCopy>;
  readonly #target: Share;
  readonly #record: LayerRecord;
  readonly #signal: AbortSignal;
  readonly #onJoined: (() => void) | undefined;
  readonly #path: string;
  readonly #final: string;
  /** Undefined until the partial file is ours. */
  #done: PieceSet | undefined;
  /** What the partial file was when the last piece had been asked for. */
  #seen: Promise<ShareFile | undefined> | undefined;
  #seat: FanOutSeat | undefined;

  constructor(ports: CopyPorts, claimed: Claimed<ReplicaCopy>, work: CopyTerms & { readonly target: Share; readonly record: LayerRecord }) {
    this.#ports = ports;
    this.#claimed = claimed;
    this.#target = work.target;
    this.#record = work.record;
    this.#signal = work.signal;
    this.#onJoined = work.onJoined;
    this.#path = copyPartialPath({ layer: claimed.item.layer, vhd: work.record.vhd.digest }, claimed.claim.id);
    this.#final = layerFilePath(claimed.item.layer, work.record.writerVersion);
  }

  /**
   * Whether the file stands whole under its final name already. A first try makes its partial file meanwhile, for mostly it does not: each call takes the
   * time of the distance, and those that wait for one another add up.
   */
  async isThere(): Promise<boolean> {
    const { checkpoint, attempts } = this.#claimed.item;
    const isFirst = checkpoint === undefined && attempts <= 1;
    const begun = isFirst ? this.#beginAnew() : Promise.resolve(undefined);
    const [whole, done] = await bothSettled(isWhole(this.#target, this.#final, this.#record, this.#signal), begun);
    if (!whole) this.#done = done;
    else if (done !== undefined) await this.#target.remove(this.#path, this.#signal);
    return whole;
  }

  /** Leaves the partial file with every piece verified. What else there is to ask of the share is asked while pieces are under way. */
  async fill(): Promise<void> {
    const sources = await this.#sources();
    const done = (this.#done ??= (await this.#adoptEarlierTry()) ?? (await this.#beginAnew()));
    await this.#noteProgress(done);
    this.#join(sources, done);
    this.#onJoined?.();
    await this.#ports.fanOut?.gathered(this.#claimed.item.layer, this.#signal);
    await bothSettled(this.#copyPieces(sources, done), this.#prepare(done));
    // Asks for the claim once more: only its holder may give the file its final name.
    await this.#noteProgress(done);
  }

  /** Gives the whole file its final name, and what it says of itself in the same step. */
  async publish(): Promise<void> {
    const { layer } = this.#claimed.item;
    const { sizeBytes } = this.#record.vhd;
    const seen = await this.#seen;
    if (seen?.sizeBytes !== sizeBytes) throw this.#incomplete(`the partial file has ${seen?.sizeBytes ?? 'no'} bytes, not ${sizeBytes}`);
    if (this.#hasDoubts()) throw this.#incomplete('others got wrong bytes from it');
    this.#seat?.rename(this.#final);
    await this.#target.rename(this.#path, this.#final, { metadata: layerFileMetadata({ digest: layer, ...this.#record }), signal: this.#signal });
    this.#seat?.finish();
  }

  /** Ends its part in the fan-out, unless the file is whole. */
  leave(): void {
    this.#seat?.leave();
  }

  /**
   * Notes the pieces of a try that failed, so that the next one need not copy them again; removes them when the claim was lost, because then nobody
   * looks for them any more. The failure that ended the copy is the one to be told: one of these two costs only bytes.
   */
  async keepWhatIsDone(): Promise<void> {
    if (this.#done === undefined) return;
    try {
      await this.#noteProgress(this.#done);
    } catch (error) {
      if (error instanceof ReplicationError && error.code === 'CLAIM_LOST') await this.#target.remove(this.#path).catch(() => undefined);
    }
  }

  #copyPieces(sources: readonly GrantedSource[], done: PieceSet): Promise<void> {
    const { budget, clock, pieceConcurrency, onSuspect } = this.#ports;
    return copyPieces(
      {
        record: this.#record,
        sources,
        target: this.#target,
        path: this.#path,
        done,
        seat: this.#seat,
        onSuspect,
        budget,
        clock,
        concurrency: pieceConcurrency ?? COPY_CONCURRENCY_DEFAULT,
        onProgress: () => this.#noteProgress(done),
        onAllAsked: () => this.#look(),
      },
      this.#signal,
    );
  }

  /** Removes what earlier tries left, and has the folders ready that the final name needs. */
  async #prepare(done: PieceSet): Promise<void> {
    const ensureHeld = (): Promise<void> => this.#noteProgress(done);
    await removePartialFiles(this.#target, this.#claimed.item.layer, { of: 'copy', kept: this.#path, ensureHeld, signal: this.#signal });
    await this.#target.ensureFolders(this.#final, this.#signal);
  }

  /** Looks at the partial file; whoever publishes is told how that went. */
  #look(): void {
    this.#seen = this.#target.stat(this.#path, this.#signal);
    this.#seen.catch(() => undefined);
  }

  #join(sources: readonly GrantedSource[], done: PieceSet): void {
    const { pieceCrc64s, vhd } = this.#record;
    this.#seat = this.#ports.fanOut?.join({
      layer: this.#claimed.item.layer,
      vhd: vhd.digest,
      share: this.#target,
      path: this.#path,
      done,
      pieceCount: pieceCrc64s.filter((crc64) => crc64 !== null).length,
      origins: sources.map(({ share }) => share),
    });
  }

  /** Whether a piece was taken back since all of them were there. */
  #hasDoubts(): boolean {
    return this.#record.pieceCrc64s.some((crc64, piece) => crc64 !== null && this.#done?.has(piece) !== true);
  }

  async #sources(): Promise<GrantedSource[]> {
    const { store, shares, regions, clock } = this.#ports;
    const { layer, share } = this.#claimed.item;
    const ready = (await store.find([layer])).filter((replica) => replica.state === 'ready' && replica.share !== share);
    const having = ready.flatMap((replica) => shares.get(replica.share) ?? []);
    if (having.length === 0) throw new ReplicationError('NO_SOURCE', `no other share has ${layer} ready`, { transient: true });
    return orderSources(having, this.#target.region, regions).map((source) => new GrantedSource(source, this.#final, clock));
  }

  /**
   * Takes the partial file of an earlier try over, under our own name: whoever still writes to the old name finds nothing there.
   * Its pieces are trusted, because they were noted under the claim of the only one who wrote that file.
   */
  async #adoptEarlierTry(): Promise<PieceSet | undefined> {
    const { checkpoint, layer } = this.#claimed.item;
    if (checkpoint === undefined || !isCopyPartialPath({ layer, vhd: this.#record.vhd.digest }, checkpoint.path)) return undefined;
    try {
      await this.#target.rename(checkpoint.path, this.#path, { signal: this.#signal });
    } catch (error) {
      if (error instanceof ShareError && error.code === 'FILE_NOT_FOUND') return undefined;
      throw error;
    }
    const file = await this.#target.stat(this.#path, this.#signal);
    return file?.sizeBytes === this.#record.vhd.sizeBytes ? PieceSet.from(checkpoint.pieces, this.#record.pieceCrc64s.length) : undefined;
  }

  async #beginAnew(): Promise<PieceSet> {
    await this.#target.createFile(this.#path, this.#record.vhd.sizeBytes, this.#signal);
    return new PieceSet(this.#record.pieceCrc64s.length);
  }

  async #noteProgress(done: PieceSet): Promise<void> {
    const { sizeBytes } = this.#record.vhd;
    let copiedBytes = 0;
    for (let piece = 0; piece < this.#record.pieceCrc64s.length; piece += 1) if (done.has(piece)) copiedBytes += pieceRange(piece, sizeBytes).length;
    const { item, claim } = this.#claimed;
    if (!(await this.#ports.store.progress(claim.id, copiedBytes, { path: this.#path, pieces: done.toBytes() }))) throw claimLost(item);
  }

  #incomplete(why: string): ReplicationError {
    const { layer, share } = this.#claimed.item;
    return new ReplicationError('COPY_INCOMPLETE', `${layer} on ${share}: ${why}`, { transient: true, details: { layer, share } });
  }
}

/** Both outcomes, or the first one's failure before the other's; nothing of either goes on when it returns. */
async function bothSettled<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}
