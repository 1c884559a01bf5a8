import { SystemClock } from '#clock';
import { type Digest, digestOf } from '#oci';
import { MINUTE_MS } from '#quantities';
import { RegionMap } from '#regions';
import { type CopyPorts, copyReplica, FanOut, LinkBudget } from '#replication';
import { MemoryLayerRecords, MemoryLinkLedger, MemoryReplicaStore } from '#replication/testing';
import { crc64Of, LAYER_FILE_VERSION, layerFileMetadata, layerFilePath, PIECE_BYTES, pieceCount, pieceRange } from '#shares';
import type { AzureFilesShare } from '#shares/azure-files';

/** Pieces that are written at a time when a layer is put onto a share. */
const WRITERS = 8;
/** As in the configuration, unless it says otherwise. */
const COPIES_AT_ONCE = 16;
/** No copy here takes longer. */
const CLAIM_MS = 10 * MINUTE_MS;
/** More than any run here moves: days are counted, but never used up. */
const LINK_BYTES_PER_DAY = 1e13;

/** A layer on the home share. */
export interface HomeLayer {
  readonly layer: Digest;
  readonly sizeBytes: number;
  /** Without holes. */
  readonly dataBytes: number;
}

/** The layers of a run, with their records. */
export class HomeLayers {
  readonly records = new MemoryLayerRecords();
  readonly #home: AzureFilesShare;

  constructor(home: AzureFilesShare) {
    this.#home = home;
  }

  /**
   * Puts a layer of bytes that do not repeat onto the home share.
   * @param holesRatio of its pieces that are holes, spread evenly.
   */
  async put(name: string, sizeBytes: number, holesRatio = 0): Promise<HomeLayer> {
    const layer = digestOf(name);
    const path = layerFilePath(layer, LAYER_FILE_VERSION);
    await this.#home.createFile(path, sizeBytes);
    const pieceCrc64s: (string | null)[] = Array.from({ length: pieceCount(sizeBytes) }, () => null);
    let dataBytes = 0;
    const pieces = pieceCrc64s.keys();
    const writer = async (): Promise<void> => {
      const content = contentOf(name);
      for (const piece of pieces) {
        if (Math.floor((piece + 1) * holesRatio) > Math.floor(piece * holesRatio)) continue;
        const { offset, length } = pieceRange(piece, sizeBytes);
        content.writeUInt32LE(piece);
        const bytes = content.subarray(0, length);
        pieceCrc64s[piece] = crc64Of(bytes);
        await this.#home.writeRange(path, offset, bytes);
        dataBytes += length;
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, writer));
    const facts = { diffId: digestOf(`${name} tar`), writerVersion: LAYER_FILE_VERSION, vhd: { digest: digestOf(`${name} expanded`), sizeBytes } };
    await this.#home.setMetadata(path, layerFileMetadata({ digest: layer, ...facts }));
    this.records.records.set(layer, { ...facts, pieceCrc64s });
    return { layer, sizeBytes, dataBytes };
  }
}

/** Bytes no block of which is zero. */
function contentOf(name: string): Buffer {
  const content = Buffer.alloc(PIECE_BYTES);
  let state = name.length + 1;
  for (let at = 0; at < content.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    content.writeUInt32LE(state, at);
  }
  return content;
}

/** What is copied from where to where, and how. */
export interface CopyRun {
  readonly layers: readonly HomeLayer[];
  readonly records: MemoryLayerRecords;
  readonly home: AzureFilesShare;
  readonly targets: readonly AzureFilesShare[];
  /** Without it, every target takes all of it from the home share. */
  readonly fansOut?: boolean;
  /** Copies at a time; default as in the configuration. */
  readonly copiesAtOnce?: number;
}

/**
 * Copies every layer to every target with the product's own executor, settings and budgets; only its tables are in memory.
 * @returns the seconds until the last one was ready. Afterwards the targets' files are gone again.
 */
export async function copyAll({ layers, records, home, targets, fansOut = true, copiesAtOnce = COPIES_AT_ONCE }: CopyRun): Promise<number> {
  const clock = new SystemClock();
  const store = new MemoryReplicaStore();
  const shares = [home, ...targets];
  const regions = new RegionMap(
    shares.map(({ region }) => ({ name: region, displayName: region })), home.region, [], { roundTripMs: 20, throughputBytesPerSecond: 1e9, pricePerGb: 0.02 },
  );
  const ports: CopyPorts = {
    store, records, regions, clock,
    shares: new Map(shares.map((share) => [share.name, share])),
    budget: new LinkBudget(() => ({ bytesPerDay: LINK_BYTES_PER_DAY }), new MemoryLinkLedger(), clock),
    fanOut: fansOut ? new FanOut(regions, clock) : undefined,
  };
  for (const { layer, sizeBytes } of layers) await store.recordReady({ layer, share: home.name, sizeBytes, reason: 'expanded' }, clock.now());
  for (const target of targets) await store.want(target, layers.map(({ layer, sizeBytes }) => ({ layer, sizeBytes, priority: 1, reason: 'bench' })), new Date(0));
  const startedAt = performance.now();
  const lane = async (): Promise<void> => {
    for (;;) {
      const [claimed] = await store.copies.claim({ owner: 'bench', limit: 1, now: clock.now(), leaseMs: CLAIM_MS });
      if (claimed === undefined) return;
      await copyReplica(ports, claimed, new AbortController().signal);
    }
  };
  await Promise.all(Array.from({ length: copiesAtOnce }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  for (const target of targets) for (const { layer } of layers) await target.remove(layerFilePath(layer, LAYER_FILE_VERSION));
  return seconds;
}
