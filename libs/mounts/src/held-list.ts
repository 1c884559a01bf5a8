import type { Digest } from '#oci';

import type { HeldReplica } from './lease.js';

/**
 * The replicas that an answer hands out, as one text: answers and leases keep lists of them by the ten thousand, and a search for garbage takes its time by the number of pieces. As objects they are forty
 * for an image of twenty layers. Immutable.
 */
export class HeldList {
  /** The same for the same replicas in the same order, and for no others: a line for each. */
  readonly text: string;
  /** How many there are. */
  readonly count: number;
  /** From 0 up to 1, always the same for the same replicas and as good as drawn. */
  readonly spread: number;

  private constructor(text: string, count: number) {
    this.text = text;
    this.count = count;
    this.spread = hashOf(text) / 2 ** 32;
  }

  /** The list of these. No name of a share has a line break. */
  static of(replicas: readonly HeldReplica[]): HeldList {
    return new HeldList(replicas.map(({ layer, share }) => `${share} ${layer}`).join('\n'), replicas.length);
  }

  /** Made anew each time. */
  get replicas(): HeldReplica[] {
    return this.count === 0 ? [] : this.text.split('\n').map(replicaIn);
  }
}

function replicaIn(line: string): HeldReplica {
  const space = line.lastIndexOf(' ');
  return { layer: line.slice(space + 1) as Digest, share: line.slice(0, space) };
}

/** FNV-1a of the text's characters: 0 to 2^32 - 1. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  return hash >>> 0;
}
