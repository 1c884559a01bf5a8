import { ReplayPolicy, type ReplayWorld, type SeenPull } from '../replay-policy.js';

/** Puts nothing anywhere: every pull goes home. */
export class NonePolicy extends ReplayPolicy {
  override readonly name: string = 'none';

  override pushed(_image: number, _atMs: number): void {
    // Stays at home.
  }

  override pulled(_pull: SeenPull): void {
    // Keeps nothing.
  }

  override deleted(_image: number, _atMs: number): void {
    // There is nothing to remove.
  }

  override pinned(_image: number, _share: number, _untilMs: number): void {
    // Heeds no pin.
  }

  override passed(_atMs: number): void {
    // Nothing happens by the clock.
  }
}

/** Copies every push to every region, and keeps it until it is deleted, as a geo-replicated registry does. Its shares have to hold all of it. */
export class ReplicateAllPolicy extends NonePolicy {
  override readonly name: string = 'replicate-all';
  readonly #world: ReplayWorld;
  /** The images that are there, of each layer. */
  readonly #usersOf: Int32Array;

  constructor(world: ReplayWorld) {
    super();
    this.#world = world;
    this.#usersOf = new Int32Array(world.catalogue.layers.length);
  }

  override pushed(image: number): void {
    for (const layer of this.#world.catalogue.layersOf[image] ?? []) {
      this.#usersOf[layer] = (this.#usersOf[layer] ?? 0) + 1;
      for (const share of this.#world.shares) share.copy(layer);
    }
  }

  override deleted(image: number): void {
    for (const layer of this.#world.catalogue.layersOf[image] ?? []) {
      this.#usersOf[layer] = (this.#usersOf[layer] ?? 0) - 1;
      if (this.#usersOf[layer] === 0) for (const share of this.#world.shares) share.remove(layer);
    }
  }
}
