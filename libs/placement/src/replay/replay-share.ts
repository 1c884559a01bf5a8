import { PlacementError } from '../placement-error.js';
import type { ReplayCatalogue, ReplayRegion } from './replay-catalogue.js';

/** What a share has seen, counted from the end of the warm-up on. */
export interface ShareCounts {
  /** Bytes copied there ahead of pulls. */
  readonly replicatedBytes: number;
  /** Bytes that pulls had to bring from home. */
  readonly fallbackBytes: number;
  /** Replicated bytes that went, or were there at the end, without ever having been read. */
  readonly wastedBytes: number;
  /** Of the wasted bytes, those that were there at the end: time might have come to read them. */
  readonly unreadHeldBytes: number;
  /** Bytes that were there, over time. */
  readonly storedByteHours: number;
}

/**
 * One region's share in a replay: which layers are there, and what it cost. Whatever a policy does, it does through this, so that bytes are counted in one way for all:
 * a byte from home is paid once when it is copied ahead, and once for every pull that misses it.
 */
export class ReplayShare {
  /** Bytes that the share may hold. */
  readonly capacityBytes: number;
  /** Where it is. */
  readonly region: ReplayRegion;
  readonly #catalogue: ReplayCatalogue;
  readonly #held: Uint8Array;
  /** 1 for what was copied ahead and not read since; 2 when that was before counting began. */
  readonly #unread: Uint8Array;
  #heldBytes = 0;
  #isCounting = false;
  #countedUntilMs = Number.NaN;
  #replicatedBytes = 0;
  #fallbackBytes = 0;
  #wastedBytes = 0;
  #storedByteMs = 0;

  constructor(catalogue: ReplayCatalogue, region: ReplayRegion, capacityBytes: number) {
    this.#catalogue = catalogue;
    this.region = region;
    this.capacityBytes = capacityBytes;
    this.#held = new Uint8Array(catalogue.layers.length);
    this.#unread = new Uint8Array(catalogue.layers.length);
  }

  /** Bytes that are there now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** True when the layer is there. */
  has(layer: number): boolean {
    return this.#held[layer] === 1;
  }

  /** True when all of an image's layers are there. */
  hasImage(image: number): boolean {
    return (this.#catalogue.layersOf[image] ?? []).every((layer) => this.#held[layer] === 1);
  }

  /** Copies a layer there, ahead of any pull. @throws {PlacementError} `REPLAY_OVER_CAPACITY`. */
  copy(layer: number): void {
    if (this.has(layer)) return;
    const bytes = this.#catalogue.sizes[layer] ?? 0;
    this.#add(layer, bytes);
    this.#unread[layer] = this.#isCounting ? 1 : 2;
    if (this.#isCounting) this.#replicatedBytes += bytes;
  }

  /** Keeps a layer that a pull has just brought: its bytes were paid by the pull. @throws {PlacementError} `REPLAY_OVER_CAPACITY`. */
  keepPulled(layer: number): void {
    if (!this.has(layer)) this.#add(layer, this.#catalogue.sizes[layer] ?? 0);
  }

  /** Removes a layer. */
  remove(layer: number): void {
    if (!this.has(layer)) return;
    this.#held[layer] = 0;
    this.#heldBytes -= this.#catalogue.sizes[layer] ?? 0;
    this.#waste(layer);
  }

  /** A pull reads an image: what is not there comes from home. @returns whether all of it was there. */
  read(image: number): boolean {
    let isHit = true;
    for (const layer of this.#catalogue.layersOf[image] ?? []) {
      if (this.has(layer)) this.#unread[layer] = 0;
      else {
        isHit = false;
        if (this.#isCounting) this.#fallbackBytes += this.#catalogue.sizes[layer] ?? 0;
      }
    }
    return isHit;
  }

  /** Counts what was stored until now; instants never go back. */
  passTo(atMs: number): void {
    if (this.#isCounting && !Number.isNaN(this.#countedUntilMs)) this.#storedByteMs += this.#heldBytes * (atMs - this.#countedUntilMs);
    this.#countedUntilMs = atMs;
  }

  /** Ends the warm-up: from now on it counts. */
  beginCounting(): void {
    this.#isCounting = true;
  }

  /** The counts so far; what lies there unread counts as wasted. */
  counts(): ShareCounts {
    let unreadHeldBytes = 0;
    for (let layer = 0; layer < this.#held.length; layer += 1) if (this.#held[layer] === 1 && this.#unread[layer] === 1) unreadHeldBytes += this.#catalogue.sizes[layer] ?? 0;
    return { replicatedBytes: this.#replicatedBytes, fallbackBytes: this.#fallbackBytes, wastedBytes: this.#wastedBytes + unreadHeldBytes, unreadHeldBytes, storedByteHours: this.#storedByteMs / 3_600_000 };
  }

  #add(layer: number, bytes: number): void {
    if (this.#heldBytes + bytes > this.capacityBytes) {
      throw new PlacementError('REPLAY_OVER_CAPACITY', `a policy put ${bytes} bytes on the share of ${this.region.region}, which holds ${this.#heldBytes} of ${this.capacityBytes}`);
    }
    this.#held[layer] = 1;
    this.#heldBytes += bytes;
  }

  #waste(layer: number): void {
    if (this.#unread[layer] === 1) this.#wastedBytes += this.#catalogue.sizes[layer] ?? 0;
    this.#unread[layer] = 0;
  }
}
