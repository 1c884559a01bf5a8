import type { Clock } from '#clock';
import type { Digest } from '#oci';
import { SECOND_MS } from '#quantities';
import type { RegionMap } from '#regions';
import type { Share } from '#shares';

import { GrantedSource } from './copy-sources.js';
import { Gathering } from './gathering.js';
import type { PieceSet } from './piece-set.js';
import { type FanOutTarget, planFanOut } from './plan-fan-out.js';

/** How long a relay may bring nothing new before those who wait for it take from an origin: longer than a throttled call is tried again. */
export const RELAY_SILENCE_MAX_MS = 15 * SECOND_MS;
/** From how many pieces on a relay is worth its detour where it saves no money: the first piece arrives later by one piece for each relay. */
export const RELAYED_PIECES_MIN = 8;

/** One copy that takes part. */
export interface FanOutMember {
  readonly layer: Digest;
  /** Of the file: copies of other bytes are other fan-outs. */
  readonly vhd: Digest;
  readonly share: Share;
  /** The partial file. */
  readonly path: string;
  /** Pieces that are there and verified, shared with the copy. */
  readonly done: PieceSet;
  /** Pieces with data. */
  readonly pieceCount: number;
  /** Shares that have the layer ready, as far as this copy knows. */
  readonly origins: readonly Share[];
}

/**
 * The copies of one worker that are under way, by layer: those of the same layer pass on to each other what they have verified, before they have the whole,
 * as {@link planFanOut} decides whenever a copy joins or leaves. Copies of a layer come to one worker, by the order of claims. Nothing of it is kept: after a crash copies go on as they find themselves together.
 */
export class FanOut {
  readonly #regions: RegionMap;
  readonly #clock: Clock;
  readonly #gathering: Gathering;
  readonly #groups = new Map<string, Group>();

  constructor(regions: RegionMap, clock: Clock) {
    this.#regions = regions;
    this.#clock = clock;
    this.#gathering = new Gathering(clock);
  }

  /** Layers that are being copied now. */
  get size(): number {
    return this.#groups.size;
  }

  /** Has the copies of a layer wait for one that will bring pieces along, before they take any. @returns to be called when it has joined, or will not. */
  expect(layer: Digest): () => void {
    return this.#gathering.expect(layer);
  }

  /** Waits for those that are expected; see {@link Gathering.complete}. */
  gathered(layer: Digest, signal: AbortSignal): Promise<void> {
    return this.#gathering.complete(layer, signal);
  }

  /** Has a copy take part from now on, until it leaves. One that is still there for the same share is out: its claim was lost. */
  join(member: FanOutMember): FanOutSeat {
    const key = `${member.layer} ${member.vhd}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      const fresh = new Group(this.#regions, () => {
        if (this.#groups.get(key) === fresh) this.#groups.delete(key);
      });
      group = fresh;
      this.#groups.set(key, group);
    }
    const seat = new FanOutSeat(member, group, this.#clock);
    group.add(seat);
    return seat;
  }
}

/** The copies of one layer. */
class Group {
  readonly #regions: RegionMap;
  readonly #onEmpty: () => void;
  /** By share. Those that have finished stay, and give what they have, while others are at it. */
  readonly #seats = new Map<string, FanOutSeat>();
  readonly #turns = new Map<FanOutSeat, number>();

  constructor(regions: RegionMap, onEmpty: () => void) {
    this.#regions = regions;
    this.#onEmpty = onEmpty;
  }

  add(seat: FanOutSeat): void {
    this.#seats.get(seat.name)?.retire();
    this.#seats.set(seat.name, seat);
    this.#turns.set(seat, this.#turns.size);
    this.replan();
  }

  remove(seat: FanOutSeat): void {
    if (this.#seats.get(seat.name) === seat) this.#seats.delete(seat.name);
    this.replan();
  }

  /** Who has a piece and gives it to `taker` at no higher price than any share that has the whole: the cheapest of them. */
  holderOf(piece: number, taker: FanOutSeat): FanOutSeat | undefined {
    const priceFrom = ({ region }: Share): number => this.#regions.link(region, taker.member.share.region).pricePerGb;
    const priceMax = Math.min(...taker.member.origins.map(priceFrom));
    const holders = [...this.#seats.values()].filter((seat) => seat !== taker && !taker.barred.has(seat.name) && seat.has(piece) && priceFrom(seat.member.share) <= priceMax);
    return holders.toSorted((a, b) => priceFrom(a.member.share) - priceFrom(b.member.share) || this.#turns.get(a)! - this.#turns.get(b)!)[0];
  }

  /** Decides anew who takes from whom, and wakes everybody who waits. */
  replan(): void {
    const seats = [...this.#seats.values()];
    const active = seats.filter((seat) => !seat.isWhole);
    if (active.length === 0) return this.#onEmpty();
    const origins = new Map(active.flatMap(({ member }) => member.origins.map((share) => [share.name, share] as const)));
    for (const { name } of active) origins.delete(name);
    for (const { name, isWhole, member } of seats) if (isWhole) origins.set(name, member.share);
    const plan = planFanOut({
      origins: [...origins.values()],
      targets: active.map((seat): FanOutTarget => ({
        name: seat.name, region: seat.member.share.region, heldPieces: seat.member.done.size, turn: this.#turns.get(seat)!, barred: seat.barred,
      })),
      regions: this.#regions,
      relaysAtEqualPrice: active[0]!.member.pieceCount >= RELAYED_PIECES_MIN,
    });
    for (const seat of active) seat.follow(this.#seats.get(plan.get(seat.name) ?? ''));
    for (const seat of seats) seat.wake();
  }
}

/** One copy's part in a fan-out: from whom it takes, and what it gives. */
export class FanOutSeat {
  readonly member: FanOutMember;
  /** Names of relays that failed this copy. */
  readonly barred = new Set<string>();
  readonly #group: Group;
  readonly #clock: Clock;
  #sources: readonly GrantedSource[];
  #state: 'filling' | 'whole' | 'out' = 'filling';
  #relay: FanOutSeat | undefined;
  #broughtAtMs: number;
  #changed = Promise.withResolvers<void>();

  constructor(member: FanOutMember, group: Group, clock: Clock) {
    this.member = member;
    this.#group = group;
    this.#clock = clock;
    this.#sources = [new GrantedSource(member.share, member.path, clock)];
    this.#broughtAtMs = clock.now().getTime();
  }

  /** Its share's. */
  get name(): string {
    return this.member.share.name;
  }

  /** Whether its file has its final name. */
  get isWhole(): boolean {
    return this.#state === 'whole';
  }

  /** Where its verified pieces can be read: while the file gets its final name, under either. */
  get sources(): readonly GrantedSource[] {
    return this.#sources;
  }

  /**
   * The relay from which this copy should take a piece, when that has it: waits until it does, while it goes on bringing any. Without a relay, any other copy that has the piece.
   * @returns undefined when the piece is to be taken from a share that has the layer ready. @throws the signal's reason.
   */
  async relayWith(piece: number, signal: AbortSignal): Promise<FanOutSeat | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const relay = this.#relay;
      if (relay === undefined) return this.#state === 'filling' ? this.#group.holderOf(piece, this) : undefined;
      if (relay.has(piece)) return relay;
      const silentMs = Math.abs(this.#clock.now().getTime() - relay.#broughtAtMs);
      if (silentMs >= RELAY_SILENCE_MAX_MS) this.bar(relay);
      else await this.#changeOf(relay, RELAY_SILENCE_MAX_MS - silentMs, signal);
    }
  }

  /** Takes nothing more from a relay. */
  bar(relay: FanOutSeat): void {
    if (this.#relay === relay) this.#relay = undefined;
    if (this.barred.has(relay.name) || this.#state !== 'filling') return;
    this.barred.add(relay.name);
    this.#group.replan();
  }

  /** A piece of this copy was verified: others may take it. */
  brought(): void {
    this.#broughtAtMs = this.#clock.now().getTime();
    this.wake();
  }

  /** Others got wrong bytes for a piece that was verified here: it is copied again, unless the file is whole already. */
  doubt(piece: number): void {
    if (this.#state === 'filling') this.member.done.remove(piece);
  }

  /** To be called before the file gets its final name. */
  rename(path: string): void {
    this.#sources = [...this.#sources, new GrantedSource(this.member.share, path, this.#clock)];
  }

  /** To be called when the copy is settled. */
  finish(): void {
    if (this.#state !== 'filling') return;
    this.#sources = this.#sources.slice(-1);
    this.#state = 'whole';
    this.#group.replan();
  }

  /** To be called when the copy ends, however it does; after {@link finish} it changes nothing. */
  leave(): void {
    if (this.#state !== 'filling') return;
    this.retire();
    this.#group.remove(this);
  }

  /** For the group: another copy has this one's share. It goes on from origins, and gives nothing any more. */
  retire(): void {
    this.#state = 'out';
    this.#relay = undefined;
    this.wake();
  }

  /** For the group: whom to take from; undefined for an origin. */
  follow(relay: FanOutSeat | undefined): void {
    this.#relay = relay;
  }

  /** For the group: whether others can take a piece from this copy. */
  has(piece: number): boolean {
    return this.isWhole || (this.#state === 'filling' && this.member.done.has(piece));
  }

  /** For the group: has those who wait for this copy look again. */
  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #changeOf(relay: FanOutSeat, maxMs: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const passed = this.#clock.sleep(maxMs, AbortSignal.any([signal, stop.signal])).catch(() => undefined);
    try {
      await Promise.race([relay.#changed.promise, passed]);
    } finally {
      stop.abort();
    }
  }
}
