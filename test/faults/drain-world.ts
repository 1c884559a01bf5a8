import { randomUUID } from 'node:crypto';

import { after } from '#clock';
import { ManualClock } from '#clock/testing';
import { AnsweringBeats, AnsweringEntry, type HeldReplica, LeaseBook, type MapChanges, MapFeeder, type MapOnDisk, type MapRow, MapSource, type MapTopic, readSnapshot, removalWaitMs, writeSnapshot } from '#mounts';
import { expandedRow, MemoryAnsweringProcesses, MemoryLeaseStore, MemoryMapSource } from '#mounts/testing';
import { digestOf } from '#oci';
import { MINUTE_MS } from '#quantities';
import { MemoryReplicaStore } from '#replication/testing';

/** How old a map may be, and how long a lease holds. */
export const STALE_MAX_MS = 10 * MINUTE_MS;
export const TTL_MS = 15 * MINUTE_MS;
const WAIT_MS = removalWaitMs({ mapAgeMaxMs: STALE_MAX_MS, leaseTtlMs: TTL_MS });
const EAST = { name: 'east', capacityBytes: 1e9 };
/** Leases that may wait to be written here: few, so that some are not given. */
const PENDING_MAX = 1;

/** What a database that cannot be reached answers. */
export class Unreachable extends Error {}

/** One deployment in memory, by one clock: a database, the processes that answer, and the worker that removes. Every part of it that decides is the product's. */
export class DrainWorld {
  readonly clock = new ManualClock('2026-03-01T12:00:00.000Z');
  readonly replicas = new MemoryReplicaStore();
  readonly leases = new MemoryLeaseStore();
  readonly answering = new MemoryAnsweringProcesses({ isNew: true });
  readonly changes = new MemoryMapSource();
  /** Until when nodes may have which layers mounted from the share. */
  readonly holds: { readonly layer: string; readonly until: Date }[] = [];
  /** What must not be: a file that went while a node held it, or that was handed out when it was gone. */
  readonly wrongs: string[] = [];
  /** Graces that ended early, and files that went. */
  endedEarly = 0;
  removed = 0;
  /** For each place in the feed, how many drains there had been. */
  readonly #drainsAt: bigint[] = [0n];

  constructor(readonly layers: readonly string[]) {}

  /** Has every layer be ready at home and on the share. */
  async fill(): Promise<void> {
    for (const layer of this.layers) {
      await this.#tell(expandedRow(layer));
      await this.replicas.recordReady({ layer: digestOf(layer), share: 'home', sizeBytes: 1, reason: 'expanded' }, this.clock.now());
      await this.order(layer);
    }
  }

  /** Has a layer be ready on the share, again if it drains or is gone. */
  async order(layer: string): Promise<void> {
    const [outcome] = await this.replicas.want(EAST, [{ layer: digestOf(layer), sizeBytes: 1, priority: 1, reason: 'demand' }], this.clock.now());
    if (outcome === 'taken') await this.replicas.recordReady({ layer: digestOf(layer), share: 'east', sizeBytes: 1, reason: 'copied' }, this.clock.now());
    await this.#tellState(layer);
  }

  /** Takes a layer out of the answers. */
  async drain(layer: string): Promise<void> {
    await this.replicas.drain({ layer: digestOf(layer), share: 'east' }, { reason: 'no demand', now: this.clock.now(), graceMs: WAIT_MS });
    await this.#tellState(layer);
  }

  /** What the worker does every few seconds. */
  async removeWhatIsDue(): Promise<void> {
    const now = this.clock.now();
    const knownTo = await this.answering.knownToAll(now);
    if (knownTo !== undefined) this.endedEarly += await this.replicas.endGraces({ knownTo, limit: 100, now });
    for (const { item, claim } of await this.replicas.removals.claim({ owner: 'worker', limit: 9, now, leaseMs: MINUTE_MS })) {
      const heldUntil = await this.leases.heldUntil(item.layer, item.share, now);
      if (heldUntil !== undefined && heldUntil > now) {
        await this.replicas.removals.postpone(claim.id, { now, waitMs: heldUntil.getTime() - now.getTime(), reason: 'leased' });
        continue;
      }
      const layer = this.layers.find((name) => digestOf(name) === item.layer)!;
      const held = this.holds.find((hold) => hold.layer === layer && hold.until > now);
      if (held !== undefined) this.wrongs.push(`${layer} went at ${now.toISOString()}, and a node holds it until ${held.until.toISOString()}`);
      await this.replicas.gone(claim.id);
      this.removed += 1;
      this.changes.delete('replica', [item.layer, item.share]);
      this.#drainsAt.push(await this.replicas.place());
    }
  }

  /** Notes what a node was given. */
  async given(layer: string, until: Date): Promise<void> {
    const there = (await this.replicas.find([digestOf(layer)])).some(({ share, readyAt }) => share === 'east' && readyAt !== undefined);
    if (!there) this.wrongs.push(`${layer} was handed out at ${this.clock.now().toISOString()}, when it was gone`);
    this.holds.push({ layer, until });
  }

  /** The last drain up to a place in the feed. */
  placeOf(position: number): bigint {
    return this.#drainsAt[position] ?? 0n;
  }

  async #tellState(layer: string): Promise<void> {
    const row = (await this.replicas.find([digestOf(layer)])).find(({ share }) => share === 'east');
    if (row !== undefined) await this.#tell({ topic: 'replica', layer: row.layer, share: row.share, state: row.state });
  }

  async #tell(row: MapRow): Promise<void> {
    this.changes.write(row);
    this.#drainsAt.push(await this.replicas.place());
  }
}

/** The disk of a process. */
interface DiskMap {
  readonly bytes: Buffer;
  readonly held: MapOnDisk<number>;
}

interface ProcessParts {
  readonly feeder: MapFeeder<number>;
  readonly leases: LeaseBook;
  readonly entry: AnsweringEntry;
  readonly beats: AnsweringBeats<number>;
}

/** A process that answers, and its successors on the same disk. Its way to the database can be cut. */
export class AnsweringWorld {
  readonly #world: DrainWorld;
  #isCut = false;
  #disk: DiskMap | undefined;
  #parts: ProcessParts;
  #onDisk: MapOnDisk<number> = { kind: 'none' };

  constructor(world: DrainWorld) {
    this.#world = world;
    this.#parts = this.#begin();
  }

  cut(): void {
    this.#isCut = true;
  }

  mend(): void {
    this.#isCut = false;
  }

  /** Gives a node a layer, if its map says that it is ready on the share. */
  async answer(layer: string): Promise<void> {
    const { clock } = this.#world;
    const { feeder: { map }, leases } = this.#parts;
    const now = clock.now();
    if (map.asOf === undefined || now.getTime() - map.asOf.getTime() > STALE_MAX_MS) return;
    if (map.replicaState(digestOf(layer), 'east') !== 'ready') return;
    const held: HeldReplica[] = [{ layer: digestOf(layer), share: 'east' }];
    await this.#world.given(layer, leases.grant('eastus', held, now)?.expiresAt ?? after(now, TTL_MS));
  }

  async follow(): Promise<void> {
    await this.#try(() => this.#parts.feeder.poll());
  }

  async flush(): Promise<void> {
    await this.#try(() => this.#parts.leases.flush());
  }

  async beat(): Promise<void> {
    await this.#try(() => this.#parts.beats.beat());
  }

  /** Writes its map to the disk. */
  write(): void {
    const { feeder: { held }, entry } = this.#parts;
    if (held === undefined) return;
    const { map, asOf, position, knownTo, loads, withdrawals } = held;
    const bytes = Buffer.concat([...writeSnapshot(map, { origin: 'here', asOf, position, knownTo, speaker: entry.speaker })]);
    this.#onDisk = { kind: 'held', knownTo, loads, withdrawals };
    this.#disk = { bytes, held: this.#onDisk };
  }

  /** Ends as it should, and begins again. */
  async restart(): Promise<void> {
    this.write();
    await this.flush();
    if (this.#parts.leases.pendingCount === 0) await this.#try(() => this.#parts.beats.leave());
    await this.crash();
  }

  /** Ends at once, and its successor begins from what is on the disk. */
  async crash(): Promise<void> {
    this.#parts = this.#begin();
    this.#onDisk = { kind: 'none' };
    const bytes = this.#disk?.bytes;
    if (bytes === undefined) return;
    this.#onDisk = { kind: 'unknown' };
    let read = 0;
    try {
      const { map, header } = await readSnapshot(async (length) => bytes.subarray(read, (read += length)), { origin: 'here', now: this.#world.clock.now(), ageMaxMs: STALE_MAX_MS });
      this.#parts.feeder.adopt(map, header.position as number);
      this.#parts.entry.follow(header.speaker);
      this.#onDisk = { kind: 'held', knownTo: header.knownTo as number, loads: 0, withdrawals: 0 };
    } catch {
      // Too old: it loads everything.
    }
  }

  #begin(): ProcessParts {
    const { clock, answering, leases: leaseStore } = this.#world;
    const reach = (): void => {
      if (this.#isCut) throw new Unreachable('the database cannot be reached');
    };
    const guarded = new MemoryLeaseStore();
    guarded.grantMany = async (leases) => {
      reach();
      await leaseStore.grantMany(leases);
    };
    const entry = new AnsweringEntry({
      id: randomUUID(), name: 'a process', clock, removalWaitMs: WAIT_MS,
      store: Object.assign(new MemoryAnsweringProcesses(), {
        heard: async (...args: Parameters<MemoryAnsweringProcesses['heard']>) => {
          reach();
          await answering.heard(...args);
        },
        forget: async (...args: Parameters<MemoryAnsweringProcesses['forget']>) => {
          reach();
          await answering.forget(...args);
        },
      }),
    });
    const feeder = new MapFeeder<number>({ clock, source: new GuardedSource(this.#world.changes, reach, entry) });
    const leases = new LeaseBook({ store: guarded, clock, ttlMs: TTL_MS, pendingMax: PENDING_MAX });
    const disk = (): MapOnDisk<number> => this.#onDisk;
    const beats = new AnsweringBeats<number>({
      entry, feeder, leases, clock, placeOf: (position) => this.#world.placeOf(position), onFailure: () => undefined,
      disk: { get onDisk() { return disk(); }, want: () => undefined },
    });
    return { feeder, leases, entry, beats };
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
  }
}

/** As `StoredMapSource`: nothing new is learnt by who cannot be heard. */
class GuardedSource extends MapSource<number> {
  constructor(private readonly source: MemoryMapSource, private readonly reach: () => void, private readonly entry: AnsweringEntry) {
    super();
  }

  async position(): Promise<number> {
    await this.entry.ensure();
    return this.source.position();
  }

  load(topic: MapTopic): ReturnType<MapSource<number>['load']> {
    this.reach();
    return this.source.load(topic);
  }

  async changesAfter(position: number, limit: number): Promise<MapChanges<number>> {
    this.reach();
    await this.entry.ensure();
    return this.source.changesAfter(position, limit);
  }

  async read(...args: Parameters<MemoryMapSource['read']>): Promise<readonly MapRow[]> {
    this.reach();
    return this.source.read(...args);
  }
}
