import type { Claimed } from '#claims';
import { ManualClock } from '#clock/testing';
import { type Digest, digestOf } from '#oci';
import { type RegionLink, RegionMap } from '#regions';
import { crc64Of, LAYER_FILE_VERSION, layerFileMetadata, layerFilePath, PIECE_BYTES, type Share } from '#shares';
import { MemoryShare } from '#shares/testing';

import { LinkBudget, type LinkLimits } from '../link-budget.js';
import type { Replica, ReplicaCopy } from '../replica.js';
import type { CopyPorts } from '../copy-replica.js';
import { type LayerRecord, LayerRecords } from '../replication-ports.js';
import { MemoryLinkLedger } from './memory-link-ledger.js';
import { MemoryReplicaStore } from './memory-replica-store.js';

/** How long claims hold in {@link ReplicationWorld}. */
export const WORLD_LEASE_MS = 60_000;

/** Records of expanded layers in memory. */
export class MemoryLayerRecords extends LayerRecords {
  readonly records = new Map<Digest, LayerRecord>();

  async find(layer: Digest): Promise<LayerRecord | undefined> {
    return this.records.get(layer);
  }
}

/** Three regions with a share each, and everything that copies need, in memory. */
export class ReplicationWorld {
  readonly clock = new ManualClock('2026-03-01T12:00:00.000Z');
  readonly store = new MemoryReplicaStore();
  readonly records = new MemoryLayerRecords();
  readonly ledger = new MemoryLinkLedger();
  readonly home = new MemoryShare({ name: 'home', region: 'westeurope', clock: this.clock });
  readonly east = new MemoryShare({ name: 'east', region: 'eastus', clock: this.clock });
  readonly asia = new MemoryShare({ name: 'asia', region: 'southeastasia', clock: this.clock });
  readonly shares = new Map<string, Share>([this.home, this.east, this.asia].map((share) => [share.name, share]));

  /** What copies work with. `links` are cents and milliseconds by direction; the others cost 2 cents a GB and take 100 ms. */
  ports(options: { readonly links?: readonly RegionLink[]; readonly limits?: LinkLimits; readonly pieceConcurrency?: number } = {}): CopyPorts {
    const regions = [...this.shares.values()].map(({ region }) => ({ name: region, displayName: region }));
    return {
      store: this.store,
      records: this.records,
      shares: this.shares,
      regions: new RegionMap(regions, 'westeurope', options.links ?? [], { roundTripMs: 100, throughputBytesPerSecond: 1e9, pricePerGb: 0.02 }),
      budget: new LinkBudget(() => options.limits ?? {}, this.ledger, this.clock),
      clock: this.clock,
      pieceConcurrency: options.pieceConcurrency ?? 4,
    };
  }

  /**
   * Puts an expanded layer onto a share, with its record and its ready replica.
   * @param name of the layer, and after an `@` the version of its file, if it is another than the present one.
   * @param pieces one letter for each piece of 4 MiB, the last one 512 bytes short: `.` is a hole, others fill it.
   */
  async expandOnto(share: Share, name: string, pieces: string): Promise<Digest> {
    const [layerName = '', version = LAYER_FILE_VERSION] = name.split('@');
    const layer = digestOf(layerName);
    const path = layerFilePath(layer, Number(version));
    const sizeBytes = pieces.length * PIECE_BYTES - 512;
    const contents = Array.from(pieces, (letter, n) => Buffer.alloc(Math.min(PIECE_BYTES, sizeBytes - n * PIECE_BYTES), letter));
    await share.createFile(path, sizeBytes);
    for (const [n, content] of contents.entries()) if (pieces[n] !== '.') await share.writeRange(path, n * PIECE_BYTES, content);
    const pieceCrc64s = contents.map((content, n) => (pieces[n] === '.' ? null : crc64Of(content)));
    const file = { diffId: digestOf(`${name} tar`), writerVersion: Number(version), vhd: { digest: digestOf(`${name} expanded`), sizeBytes } };
    await share.setMetadata(path, layerFileMetadata({ digest: layer, ...file }));
    this.records.records.set(layer, { ...file, pieceCrc64s });
    await this.store.recordReady({ layer, share: share.name, sizeBytes, reason: 'expanded' }, this.clock.now());
    return layer;
  }

  /** Wants a layer on a share. */
  async want(share: Share, layer: Digest): Promise<void> {
    const sizeBytes = this.records.records.get(layer)?.vhd.sizeBytes ?? 1;
    await this.store.want(share, [{ layer, sizeBytes, priority: 1, reason: 'demand' }], this.clock.now());
  }

  /** Claims the most urgent copy that is due. */
  async claimCopy(): Promise<Claimed<ReplicaCopy>> {
    const [claimed] = await this.store.copies.claim({ owner: 'worker', limit: 1, now: this.clock.now(), leaseMs: WORLD_LEASE_MS });
    if (claimed === undefined) throw new Error('there is no copy to be made');
    return claimed;
  }

  /** What is on a share of a layer, as its row says. */
  async replica(share: Pick<Share, 'name'>, layer: Digest): Promise<Replica | undefined> {
    return (await this.store.find([layer])).find((row) => row.share === share.name);
  }
}

/** Where the present version of a layer's file stands. */
export function pathOf(layer: Digest): string {
  return layerFilePath(layer, LAYER_FILE_VERSION);
}

/** All bytes of a layer's file on a share. */
export async function bytesOn(share: Share, layer: Digest): Promise<Buffer> {
  const path = pathOf(layer);
  const file = await share.stat(path);
  if (file === undefined) throw new Error(`${share.name} has no ${path}`);
  return share.readRange(path, { offset: 0, length: file.sizeBytes });
}
