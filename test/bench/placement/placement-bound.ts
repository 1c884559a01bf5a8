import { type LinearProgram, solve } from './linear-program.js';
import type { PlacementCase } from './placement-case.js';

/** Bytes of a program's unit: sizes in megabytes keep its numbers near to each other. */
const UNIT_BYTES = 1e6;

/**
 * What no placement can pass: the optimum of the linear program in which images and layers may also be there in part. An image is no more there than each of its layers.
 * Layers that the same images have are one (an atom); the atom that only one image has is paid by that image's own variable.
 */
export async function placementBound(of: PlacementCase, capacityBytes: number): Promise<number> {
  return (await solve(placementProgram(of, capacityBytes))).value;
}

function placementProgram({ layersOf, imagesOf, sizes, demand }: PlacementCase, capacityBytes: number): LinearProgram {
  const atomOf = new Map<string, { readonly name: string; readonly images: readonly number[]; bytes: number }>();
  for (const [layer, images] of imagesOf.entries()) {
    const key = images.join(' ');
    const atom = atomOf.get(key) ?? { name: images.length === 1 ? `y${images[0]}` : `x${layer}`, images, bytes: 0 };
    atom.bytes += sizes[layer]!;
    atomOf.set(key, atom);
  }
  const atoms = [...atomOf.values()];
  const maximise = new Map([...layersOf.keys()].map((image) => [`y${image}`, demand[image]!]));
  const isWithin = atoms.filter(({ images }) => images.length > 1).flatMap(({ name, images }) => images.map((image) => ({ terms: new Map([[`y${image}`, 1], [name, -1]]), atMost: 0 })));
  const capacity = { terms: new Map(atoms.map(({ name, bytes }) => [name, bytes / UNIT_BYTES])), atMost: capacityBytes / UNIT_BYTES };
  return { maximise, rows: [capacity, ...isWithin] };
}
