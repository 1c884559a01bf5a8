import { solve } from './linear-program.js';
import type { PlacementCase } from './placement-case.js';

/** A region over some epochs: what is pulled in each, and what the share may hold and take in. */
export interface EpochCase {
  readonly of: PlacementCase;
  /** By epoch, pulls of each image. */
  readonly pulls: readonly Float64Array[];
  readonly capacityBytes: number;
  /** What may be brought at the beginning of an epoch. */
  readonly bytesPerEpoch: number;
}

const UNIT_BYTES = 1e6;

/**
 * What no planner can pass that begins with an empty share and brings layers at the beginning of epochs, whatever it knows of the future: the optimum of the linear program in which everything may be
 * there in part. `y` is an image, `x` a layer (or several that the same images have), `z` what is brought of it.
 */
export async function epochBound({ of, pulls, capacityBytes, bytesPerEpoch }: EpochCase): Promise<number> {
  const byImages = new Map<string, { readonly images: readonly number[]; bytes: number }>();
  for (const [layer, images] of of.imagesOf.entries()) {
    const atom = byImages.get(images.join()) ?? { images, bytes: 0 };
    atom.bytes += of.sizes[layer]! / UNIT_BYTES;
    byImages.set(images.join(), atom);
  }
  const atoms = [...byImages.values()];
  const maximise = new Map<string, number>();
  const rows: { terms: Map<string, number>; atMost: number }[] = [];
  for (const [epoch, ofEpoch] of pulls.entries()) {
    for (const [image, count] of ofEpoch.entries()) if (count > 0) maximise.set(`y${image}_${epoch}`, count);
    for (const [n, { images }] of atoms.entries()) {
      for (const image of images) if (ofEpoch[image]! > 0) rows.push({ terms: new Map([[`y${image}_${epoch}`, 1], [`x${n}_${epoch}`, -1]]), atMost: 0 });
      rows.push({ terms: new Map([[`x${n}_${epoch}`, 1], ...(epoch === 0 ? [] : [[`x${n}_${epoch - 1}`, -1] as const]), [`z${n}_${epoch}`, -1]]), atMost: 0 });
    }
    rows.push({ terms: new Map(atoms.map(({ bytes }, n) => [`x${n}_${epoch}`, bytes])), atMost: capacityBytes / UNIT_BYTES });
    rows.push({ terms: new Map(atoms.map(({ bytes }, n) => [`z${n}_${epoch}`, bytes])), atMost: bytesPerEpoch / UNIT_BYTES });
  }
  return (await solve({ maximise, rows })).value;
}
