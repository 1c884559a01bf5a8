import type { Digest } from '#oci';

import { type LayerState, type MappedReplicaState, REPLICA_STATES } from './map-row.js';

/** One layer of one image, with a direct way to what is known of that layer. Images that describe a layer alike share one of these. */
export interface MappedImageLayer {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly sizeBytes: number;
  readonly record: LayerRecord;
}

/** Bits that hold a replica's state; the share's number stands above them. */
const STATE_BITS = 2;
const STATE_MASK = (1 << STATE_BITS) - 1;
const NO_REPLICAS: number[] = [];

/**
 * What is known of one layer: its expansion and its replicas. A replica is one small integer, its share's number and its state,
 * so that ten replicas of a million layers take about a hundred megabytes. Live: it changes with the map.
 */
export class LayerRecord {
  readonly digest: Digest;
  /** How the first image that named this layer described it. */
  described: MappedImageLayer | undefined = undefined;
  /** How often images name it, as a layer or as their merged view. */
  imageCount = 0;
  #expansion: LayerState | undefined = undefined;
  #replicas = NO_REPLICAS;
  #version = 0;

  constructor(digest: Digest) {
    this.digest = digest;
  }

  /** Undefined while nobody has asked for its expansion. */
  get expansion(): LayerState | undefined {
    return this.#expansion;
  }

  set expansion(state: LayerState | undefined) {
    this.#expansion = state;
    this.#version += 1;
  }

  /** Grows with every change of its expansion or of a replica: what was made from the record at an equal version holds. */
  get version(): number {
    return this.#version;
  }

  /** How many shares have a replica in any state. */
  get replicaCount(): number {
    return this.#replicas.length;
  }

  /** True when nothing refers to it any more. */
  get unused(): boolean {
    return this.#expansion === undefined && this.imageCount === 0 && this.#replicas.length === 0;
  }

  /** The state on the share with that number; undefined where there is no replica. */
  stateOn(shareNumber: number): MappedReplicaState | undefined {
    const replicas = this.#replicas;
    for (let index = 0; index < replicas.length; index += 1) {
      const code = replicas[index] as number;
      if (code >> STATE_BITS === shareNumber) return REPLICA_STATES[code & STATE_MASK];
    }
    return undefined;
  }

  /** All replicas: the shares' numbers and the states. */
  replicas(): { readonly number: number; readonly state: MappedReplicaState }[] {
    return this.#replicas.map((code) => ({ number: code >> STATE_BITS, state: REPLICA_STATES[code & STATE_MASK]! }));
  }

  /** Sets the state on a share. @returns true when the share had no replica before. */
  setState(shareNumber: number, state: MappedReplicaState): boolean {
    const code = (shareNumber << STATE_BITS) | REPLICA_STATES.indexOf(state);
    const index = this.#indexOf(shareNumber);
    this.#version += 1;
    if (index >= 0) this.#replicas[index] = code;
    else if (this.#replicas === NO_REPLICAS) this.#replicas = [code];
    else this.#replicas.push(code);
    return index < 0;
  }

  /** Forgets the replica on a share. @returns true when there was one. */
  removeOn(shareNumber: number): boolean {
    const index = this.#indexOf(shareNumber);
    if (index < 0) return false;
    this.#version += 1;
    this.#replicas.splice(index, 1);
    if (this.#replicas.length === 0) this.#replicas = NO_REPLICAS;
    return true;
  }

  #indexOf(shareNumber: number): number {
    return this.#replicas.findIndex((code) => code >> STATE_BITS === shareNumber);
  }
}
