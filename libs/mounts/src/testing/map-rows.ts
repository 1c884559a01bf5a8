import { type Digest, digestOf } from '#oci';

import type { ExpandedFile, ImageRow, LayerRow } from '../map-row.js';
import { type LayerMount, type Transport } from '../mount-answer.js';
import { type LayerFile, MountSources } from '../mount-sources.js';

/** The digest that a layer or manifest of that name has in tests. */
export function digestNamed(name: string): Digest {
  return digestOf(name);
}

/** The diffID that the layer of that name has in tests. */
export function diffIdNamed(name: string): Digest {
  return digestOf(`${name}, unpacked`);
}

/** An image row whose layers are given by their names; each layer's blob has 10 MB. */
export function imageRow(repository: string, name: string, layers: readonly string[]): ImageRow {
  const described = layers.map((layer) => ({ digest: digestNamed(layer), diffId: diffIdNamed(layer), sizeBytes: 10_000_000 }));
  return { topic: 'image', repository, digest: digestNamed(name), content: { kind: 'image', layers: described } };
}

/** The same with a merged view, and the row of that view, expanded. */
export function viewedRows(repository: string, name: string, layers: readonly string[]): [ImageRow, LayerRow] {
  const { content, ...row } = imageRow(repository, name, layers);
  if (content.kind !== 'image') throw new Error('an image row is of an image');
  const { digest, vhd, verity, writerVersion } = { ...expandedFile(`view of ${name}`), digest: digestNamed(`view of ${name}`) };
  return [{ ...row, content: { ...content, view: digest } }, { topic: 'layer', digest, state: 'expanded', diffId: undefined, writerVersion, vhd, verity }];
}

function expandedFile(name: string): ExpandedFile {
  const vhd = { digest: digestOf(`${name}, as a vhd`), sizeBytes: 40_000_000 };
  return { diffId: diffIdNamed(name), writerVersion: 2, vhd, verity: { rootHash: digestOf(`${name}, hashed`).slice('sha256:'.length), hashOffset: 39_000_064 } };
}

/** The row of an expanded layer: a vhd of 40 MB. */
export function expandedRow(layer: string): LayerRow {
  return { topic: 'layer', digest: digestNamed(layer), state: 'expanded', ...expandedFile(layer) };
}

/** Sources of shares that are named after their regions: `//eastus/layers/<first digits of the layer>`, one for each transport. */
export class NamedMountSources extends MountSources {
  readonly #transports: readonly Transport[];
  /** Shares that fail when they are asked. */
  readonly failing = new Set<string>();

  constructor(transports: readonly Transport[] = ['smb']) {
    super();
    this.#transports = transports;
  }

  of({ digest }: LayerFile, share: string): readonly LayerMount[] {
    if (this.failing.has(share)) throw new Error(`${share} has no key`);
    return this.#transports.map((type) => ({ type, region: share, source: `//${share}/layers/${digest.slice(7, 15)}.vhd`, options: ['ro'] }));
  }

  standing(): number {
    return 0;
  }
}
