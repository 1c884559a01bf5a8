import type { Clock } from '#clock';
import { type ByteRange, crc64Of, layerFilePath, pieceRange, type Share, ShareError } from '#shares';

import type { LinkBudget } from './link-budget.js';
import type { Replica, ReplicaKey } from './replica.js';
import type { ReplicaStore } from './replica-store.js';
import { ReplicationError } from './replication-error.js';
import type { LayerRecord, LayerRecords, ReleasableLayers } from './replication-ports.js';

/** Replicas that are asked for at a time. */
const PAGE_REPLICAS = 50;

/** What {@link scrubReplicas} works with. */
export interface ScrubPorts {
  readonly store: Pick<ReplicaStore, 'page' | 'find' | 'lose'>;
  readonly records: LayerRecords;
  readonly layers: Pick<ReleasableLayers, 'expandAgain'>;
  /** By name. */
  readonly shares: ReadonlyMap<string, Share>;
  /** What may be read in each region: asked for the link of the region with itself. One of its own, not that of copies. */
  readonly budget: Pick<LinkBudget, 'take'>;
  readonly clock: Clock;
}

/** How far scrubbing came: `piece` of the replica `within` is next, or the first of what comes after `after` when that replica is not the next one any more. */
export interface ScrubPlace {
  readonly after?: ReplicaKey | undefined;
  readonly within?: ReplicaKey | undefined;
  readonly piece?: number;
}

/** Which part of the bytes one scrubbing reads. */
export interface ScrubPart {
  readonly from: ScrubPlace;
  /** Passed by less than a piece. */
  readonly bytesMax: number;
}

/** What one scrubbing found. */
export interface ScrubReport {
  readonly readBytes: number;
  /** Replicas of which the last piece was reached. */
  readonly finished: number;
  /** Whose bytes are not those of the record: out of the answers, and copied again from another share. */
  readonly ordered: readonly ReplicaKey[];
  /** The same, but of layers of which no other replica is ready: expanded again. */
  readonly expandedAgain: readonly ReplicaKey[];
  /** Pieces that came wrong once and right when they were read again: the way is at fault, or the share is about to be. */
  readonly unsteady: readonly (ReplicaKey & { readonly piece: number })[];
  /** Shares that did not answer; their other files were passed over. A file that cannot be read is not damaged. */
  readonly silentShares: readonly string[];
  /** Whether the day's bytes of a region are used up: the next one goes on at the same place. */
  readonly budgetUsed: boolean;
  /** Where the next one goes on; an empty place when all have been read: it begins anew. */
  readonly next: ScrubPlace;
}

/**
 * Reads some bytes of ready replicas again and compares each piece with its record; holes are not read. A replica that fails, twice, leaves the answers at
 * once and is ordered again, from another region. The last ready replica of a layer is not taken out of them: its layer is expanded again, and while it is,
 * no share is handed out for it.
 *
 * Before that, the file's metadata is taken away: it says that the file is whole, and a copy that found it so would have nothing to do. Whoever ends
 * between the two leaves a file that the next audit finds. Idempotent.
 */
export async function scrubReplicas(ports: ScrubPorts, part: ScrubPart, signal?: AbortSignal): Promise<ScrubReport> {
  const scrub = new Scrub(ports, part, signal ?? new AbortController().signal);
  return scrub.run();
}

type Verdict = 'whole' | 'damaged' | 'passed over' | 'out of bytes';

class Scrub {
  readonly #ports: ScrubPorts;
  readonly #part: ScrubPart;
  readonly #signal: AbortSignal;
  #place: ScrubPlace;
  #readBytes = 0;
  #finished = 0;
  #budgetUsed = false;
  readonly #ordered: ReplicaKey[] = [];
  readonly #expandedAgain: ReplicaKey[] = [];
  readonly #unsteady: (ReplicaKey & { readonly piece: number })[] = [];
  readonly #silentShares = new Set<string>();

  constructor(ports: ScrubPorts, part: ScrubPart, signal: AbortSignal) {
    this.#ports = ports;
    this.#part = part;
    this.#signal = signal;
    this.#place = part.from;
  }

  async run(): Promise<ScrubReport> {
    while (await this.#scrubPage()) this.#signal.throwIfAborted();
    return {
      readBytes: this.#readBytes,
      finished: this.#finished,
      ordered: this.#ordered,
      expandedAgain: this.#expandedAgain,
      unsteady: this.#unsteady,
      silentShares: [...this.#silentShares],
      budgetUsed: this.#budgetUsed,
      next: this.#place,
    };
  }

  /** @returns whether there is more to do. */
  async #scrubPage(): Promise<boolean> {
    const page = await this.#ports.store.page(this.#place.after, PAGE_REPLICAS, { state: 'ready' });
    for (const replica of page) {
      if ((await this.#scrubReplica(replica)) === 'out of bytes') return false;
      this.#place = { after: keyOf(replica) };
    }
    if (page.length === PAGE_REPLICAS) return true;
    this.#place = {};
    return false;
  }

  async #scrubReplica(replica: Replica): Promise<Verdict> {
    const share = this.#ports.shares.get(replica.share);
    if (share === undefined || this.#silentShares.has(share.name)) return 'passed over';
    // What is being expanded again has no file that could be told to be the right one.
    const record = await this.#ports.records.find(replica.layer);
    if (record === undefined) return 'passed over';
    const { within, piece = 0 } = this.#place;
    const first = within?.layer === replica.layer && within.share === replica.share ? piece : 0;
    try {
      for (let at = first; at < record.pieceCrc64s.length; at += 1) {
        if (record.pieceCrc64s[at] === null) continue;
        const verdict = await this.#scrubPiece(share, { replica, record, piece: at });
        if (verdict === 'out of bytes') this.#place = { after: this.#place.after, within: keyOf(replica), piece: at };
        if (verdict !== 'whole') return verdict;
      }
    } catch (error) {
      if (!(error instanceof ShareError)) throw error;
      this.#silentShares.add(share.name);
      return 'passed over';
    }
    this.#finished += 1;
    return 'whole';
  }

  async #scrubPiece(share: Share, read: PieceRead): Promise<Verdict> {
    const { replica, record, piece } = read;
    const range = pieceRange(piece, record.vhd.sizeBytes);
    if (!(await this.#admit(share, range))) return 'out of bytes';
    const found = await this.#crc64Of(share, record, { replica, range });
    if (found === record.pieceCrc64s[piece]) return 'whole';
    const again = await this.#crc64Of(share, record, { replica, range });
    if (again === record.pieceCrc64s[piece]) {
      this.#unsteady.push({ ...keyOf(replica), piece });
      return 'whole';
    }
    return (await this.#lose(share, read, again)) ? 'damaged' : 'passed over';
  }

  async #admit(share: Share, { length }: ByteRange): Promise<boolean> {
    if (this.#readBytes >= this.#part.bytesMax) return false;
    try {
      await this.#ports.budget.take({ from: share.region, to: share.region }, length, this.#signal);
    } catch (error) {
      if (!(error instanceof ReplicationError) || error.code !== 'LINK_BUDGET_USED') throw error;
      this.#budgetUsed = true;
      return false;
    }
    this.#readBytes += length;
    return true;
  }

  /** The CRC64 of a range, or in words why there is none. */
  async #crc64Of(share: Share, { writerVersion }: LayerRecord, { replica, range }: { readonly replica: Replica; readonly range: ByteRange }): Promise<string> {
    try {
      return crc64Of(await share.readRange(layerFilePath(replica.layer, writerVersion), range, this.#signal));
    } catch (error) {
      if (error instanceof ShareError && (error.code === 'FILE_NOT_FOUND' || error.code === 'RANGE_INVALID')) return error.code;
      throw error;
    }
  }

  /** @returns false when the replica, or its record, is not what it was when it was read. */
  async #lose(share: Share, { replica, record, piece }: PieceRead, found: string): Promise<boolean> {
    const { store, records, layers, clock } = this.#ports;
    const [rows, recordNow] = [await store.find([replica.layer]), await records.find(replica.layer)];
    const isReady = rows.some((row) => row.share === replica.share && row.state === 'ready');
    if (!isReady || recordNow?.vhd.digest !== record.vhd.digest) return false;
    if (found !== 'FILE_NOT_FOUND') await share.setMetadata(layerFilePath(replica.layer, record.writerVersion), { damaged_piece: String(piece) }, this.#signal);
    const key = keyOf(replica);
    const outcome = await store.lose(key, `piece ${piece} of its file was ${found}, not ${record.pieceCrc64s[piece]}`, clock.now());
    if (outcome === 'wanted') this.#ordered.push(key);
    if (outcome === 'LAST_REPLICA' && (await layers.expandAgain(replica.layer, clock.now()))) this.#expandedAgain.push(key);
    return true;
  }
}

interface PieceRead {
  readonly replica: Replica;
  readonly record: LayerRecord;
  readonly piece: number;
}

function keyOf({ layer, share }: Replica): ReplicaKey {
  return { layer, share };
}
