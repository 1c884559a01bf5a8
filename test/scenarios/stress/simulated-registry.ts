import { type Digest, digestOf } from '#oci';
import type { PlacementImage } from '#placement';
import { aLayer } from '#placement/testing';

/** How many images of one base there are, so that layers are shared. */
const BASES = [
  ['debian', 50], ['node', 180], ['python', 140],
] as const;
/** Repositories, how their images are based, what these add in MiB, and their part of all pulls: some are asked for all day, most hardly ever. */
const REPOSITORIES = [
  ['shop/web', 1, 60, 30], ['shop/cart', 1, 40, 20], ['shop/search', 2, 220, 14], ['shop/mail', 0, 25, 9], ['data/etl', 2, 300, 7], ['data/train', 2, 900, 5],
  ['ops/agent', 0, 15, 5], ['ops/backup', 0, 90, 3], ['labs/demo', 1, 120, 3], ['labs/old', 0, 400, 2], ['labs/paper', 2, 500, 1], ['labs/toy', 0, 30, 1],
] as const;

/** How much more, or less, a region runs of some groups than others do. */
const TASTES: Readonly<Record<string, Readonly<Record<string, number>>>> = { southeastasia: { data: 4, labs: 3, shop: 0.3 }, brazilsouth: { ops: 3 } };

/** By how much a region asks more for a repository than others do. */
export function tasteOf(region: string, repository: string): number {
  return TASTES[region]?.[repository.split('/')[0] ?? ''] ?? 1;
}

/** An image of `repository:tag` over its base. */
export function imageOf(repository: string, tag: string, pushedAt: Date, ownMiB?: number): PlacementImage {
  const [, base = 0, sizeMiB = 100] = REPOSITORIES.find(([name]) => name === repository) ?? [];
  const [baseName, baseMiB] = BASES[base]!;
  return { repository, digest: digestOf(`image ${repository}:${tag}`), tags: [tag], pushedAt, layers: [aLayer(baseName, baseMiB), aLayer(`${repository}:${tag}`, ownMiB ?? sizeMiB)] };
}

/** The first image of every repository, and its part of all pulls. */
export function firstImages(pushedAt: Date): { readonly image: PlacementImage; readonly part: number }[] {
  const total = REPOSITORIES.reduce((sum, [, , , part]) => sum + part, 0);
  return REPOSITORIES.map(([repository, , , part]) => ({ image: imageOf(repository, 'v1', pushedAt), part: part / total }));
}

/** Bytes of images, a layer that several have counted once. */
export function bytesOf(images: readonly PlacementImage[]): number {
  const layers = new Map<Digest, number>(images.flatMap(({ layers: of }) => of.map(({ digest, sizeBytes }) => [digest, sizeBytes] as const)));
  return [...layers.values()].reduce((sum, bytes) => sum + bytes, 0);
}
