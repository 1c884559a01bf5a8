/** What came of offering a layer. */
export interface Offer {
  readonly kept: boolean;
  /** The layers that went for it. */
  readonly evicted: readonly number[];
}

/** Which layers a pull-through share keeps: it is told of every pull of a layer, and decides what stays. */
export abstract class LayerKeeper {
  /** A layer that is there was pulled. */
  abstract touch(layer: number): void;

  /** A layer that is not there was pulled, and could be kept. Never keeps more than its capacity in all. */
  abstract offer(layer: number, sizeBytes: number): Offer;

  /** A layer is gone for another reason. */
  abstract forget(layer: number): void;
}

/** An offer that was declined. */
export const DECLINED: Offer = { kept: false, evicted: [] };
