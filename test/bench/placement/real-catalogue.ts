import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { type Digest, digestOf } from '#oci';
import type { PlacementImage } from '#placement';

import { traceFile } from '../trace-file.js';
import type { Draws } from './draws.js';

/** One image of the catalogue. */
export interface CatalogueImage {
  readonly repository: string;
  readonly tag: string;
  readonly createdAt: string;
  /** Numbers of its layers, from the base up. */
  readonly layers: readonly number[];
}

/** Real images of public registries, and the compressed sizes of their layers. */
export interface RealCatalogue {
  readonly images: readonly CatalogueImage[];
  readonly layerBytes: readonly number[];
}

/**
 * Reads the catalogue: gzipped JSON lines, first `{layer_sizes_compressed_bytes}`, then `{repo, tags: [[tag, created, [layer, …]], …]}` for each repository.
 * @throws {BenchError} where there is none.
 */
export async function readRealCatalogue(): Promise<RealCatalogue> {
  const lines = (await promisify(gunzip)(await readFile(traceFile('image_catalog.jsonl.gz')))).toString('utf8').split('\n').filter((line) => line !== '');
  const [head, ...repositories] = lines;
  const { layer_sizes_compressed_bytes: layerBytes } = JSON.parse(head ?? '') as { layer_sizes_compressed_bytes: number[] };
  const images = repositories.flatMap((line) => {
    const { repo, tags } = JSON.parse(line) as { repo: string; tags: [string, string, number[]][] };
    return tags.map(([tag, createdAt, layers]): CatalogueImage => ({ repository: repo, tag, createdAt, layers: [...new Set(layers)] }));
  });
  return { images, layerBytes };
}

/** Repositories drawn from the catalogue, each with its first images, until there are `count` images. */
export function drawImages(catalogue: RealCatalogue, count: number, draws: Draws, ofRepositoryMax = IMAGES_OF_REPOSITORY_MAX): CatalogueImage[] {
  const byRepository = [...Map.groupBy(catalogue.images, (image) => image.repository).values()];
  const drawn: CatalogueImage[] = [];
  for (const repository of draws.shuffled(byRepository)) {
    drawn.push(...repository.slice(0, Math.min(ofRepositoryMax, count - drawn.length)));
    if (drawn.length === count) break;
  }
  return drawn;
}

/** Tags taken of one repository: without a bound four repositories with 500 tags each would be all there is. */
const IMAGES_OF_REPOSITORY_MAX = 40;

/** Layers below this are on every share, and compete for nothing. */
const LAYER_BYTES_MIN = 1e6;

/** Images as plans know them, without their smallest layers. */
export function placementImages(catalogue: RealCatalogue, images: readonly CatalogueImage[]): PlacementImage[] {
  const digests = new Map<number, Digest>();
  const digestOfLayer = (layer: number): Digest => {
    const known = digests.get(layer) ?? digestOf(`layer ${layer}`);
    digests.set(layer, known);
    return known;
  };
  return images.map(({ repository, tag, createdAt, layers }) => ({
    repository, digest: digestOf(`image ${repository}:${tag}`), tags: [tag], pushedAt: new Date(`${createdAt}Z`),
    layers: layers.filter((layer) => (catalogue.layerBytes[layer] ?? 0) >= LAYER_BYTES_MIN).map((layer) => ({ digest: digestOfLayer(layer), sizeBytes: catalogue.layerBytes[layer] ?? 0 })),
  }));
}
