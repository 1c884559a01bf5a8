import type { Digest } from '#oci';
import type { RegionName } from '#regions';

import { PlacementError } from '../placement-error.js';
import { imageKey, type ImageName, type StoredLayer } from '../region-facts.js';
import { countOf, digestField, invalid, parseReplayLine, regionOf, textOf } from './replay-event.js';

/** Images that a catalogue may hold: as many as a plan may look at. */
export const REPLAY_IMAGES_MAX = 100_000;
/** Layers that an image may have: more than any registry takes. */
export const REPLAY_IMAGE_LAYERS_MAX = 4096;
/** Regions that a replay may have. */
export const REPLAY_REGIONS_MAX = 64;

/** An image of a catalogue. */
export interface ReplayImage extends ImageName {
  /** In order; of one size wherever they stand. */
  readonly layers: readonly StoredLayer[];
}

/** Images and layers under dense numbers. */
export interface ReplayCatalogue {
  readonly images: readonly ReplayImage[];
  /** By `imageKey`. */
  readonly imageNumber: ReadonlyMap<string, number>;
  readonly layers: readonly Digest[];
  readonly layerNumber: ReadonlyMap<Digest, number>;
  readonly sizes: Float64Array;
  /** The layers of each image, each once. */
  readonly layersOf: readonly Int32Array[];
  /** Bytes of each image. */
  readonly imageBytes: Float64Array;
  /** Bytes of all layers, each once: what a share of everything takes, and what capacities in per cent are of. */
  readonly totalBytes: number;
}

/** A region of a replay. */
export interface ReplayRegion {
  readonly region: RegionName;
  /** What a gigabyte (10^9 bytes) from the home region costs. */
  readonly usdPerGb: number;
  /** What the region's share holds; without it, what the replay is told. */
  readonly capacityBytes?: number;
}

/** Where a replay happens: pushes at home, pulls everywhere; copies and fallbacks come from home. */
export interface ReplayRegions {
  readonly home: RegionName;
  /** The regions away from home. */
  readonly regions: readonly ReplayRegion[];
}

/**
 * Reads one line of a catalogue: `{ "repository", "image", "layers": [{ "digest", "sizeBytes" }, …] }`.
 * @throws {PlacementError} `REPLAY_INVALID`.
 */
export function parseReplayImage(line: string, where: string): ReplayImage {
  const fields = parseReplayLine(line, where);
  const { layers } = fields;
  if (!Array.isArray(layers) || layers.length > REPLAY_IMAGE_LAYERS_MAX) throw invalid(where, 'layers', layers, `is a list of at most ${REPLAY_IMAGE_LAYERS_MAX} layers`);
  return {
    repository: textOf(fields, 'repository', where),
    digest: digestField(fields, 'image', where),
    layers: layers.map((layer: unknown, n) => {
      const at = `${where}, layer ${n}`;
      if (typeof layer !== 'object' || layer === null) throw invalid(where, `layers[${n}]`, layer, 'is an object');
      const of = layer as Record<string, unknown>;
      return { digest: digestField(of, 'digest', at), sizeBytes: countOf(of, 'sizeBytes', at) };
    }),
  };
}

/** Writes an image as the line that {@link parseReplayImage} reads, without a line feed. */
export function formatReplayImage({ repository, digest, layers }: ReplayImage): string {
  return JSON.stringify({ repository, image: digest, layers: layers.map((layer) => ({ digest: layer.digest, sizeBytes: layer.sizeBytes })) });
}

/**
 * Numbers the images of a catalogue. The same image twice counts once.
 * @throws {PlacementError} `REPLAY_INVALID` for more than {@link REPLAY_IMAGES_MAX}, and for a layer of two sizes.
 */
export function openCatalogue(images: Iterable<ReplayImage>): ReplayCatalogue {
  const distinct = new Map<string, ReplayImage>();
  const sizeOf = new Map<Digest, number>();
  for (const image of images) {
    distinct.set(imageKey(image), image);
    if (distinct.size > REPLAY_IMAGES_MAX) throw new PlacementError('REPLAY_INVALID', `the catalogue holds more than ${REPLAY_IMAGES_MAX} images`);
    for (const { digest, sizeBytes } of image.layers) {
      const known = sizeOf.get(digest);
      if (known !== undefined && known !== sizeBytes) throw new PlacementError('REPLAY_INVALID', `the catalogue gives layer ${digest} the sizes ${known} and ${sizeBytes}: a layer has one`);
      sizeOf.set(digest, sizeBytes);
    }
  }
  const all = [...distinct.values()];
  const layers = [...sizeOf.keys()];
  const layerNumber = new Map(layers.map((digest, number) => [digest, number]));
  const sizes = Float64Array.from(sizeOf.values());
  const layersOf = all.map((image) => Int32Array.from(new Set(image.layers.map((layer) => layerNumber.get(layer.digest) ?? -1))));
  return {
    images: all,
    imageNumber: new Map(all.map((image, number) => [imageKey(image), number])),
    layers,
    layerNumber,
    sizes,
    layersOf,
    imageBytes: Float64Array.from(layersOf, (of) => of.reduce((sum, layer) => sum + (sizes[layer] ?? 0), 0)),
    totalBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
  };
}

/**
 * Reads the regions of a replay: `{ "home", "regions": [{ "region", "usdPerGb", "capacityBytes"? }, …] }`.
 * @throws {PlacementError} `REPLAY_INVALID`.
 */
export function parseReplayRegions(text: string, where: string): ReplayRegions {
  const fields = parseReplayLine(text, where);
  const home = regionOf(fields, 'home', where);
  const { regions } = fields;
  if (!Array.isArray(regions) || regions.length === 0 || regions.length > REPLAY_REGIONS_MAX) throw invalid(where, 'regions', regions, `is a list of 1 to ${REPLAY_REGIONS_MAX} regions`);
  const seen = new Set<string>([home]);
  return {
    home,
    regions: regions.map((each: unknown, n): ReplayRegion => {
      const at = `${where}, region ${n}`;
      if (typeof each !== 'object' || each === null) throw invalid(where, `regions[${n}]`, each, 'is an object');
      const of = each as Record<string, unknown>;
      const region = regionOf(of, 'region', at);
      if (seen.has(region)) throw invalid(at, 'region', region, 'stands there once, and is not home');
      seen.add(region);
      const { usdPerGb } = of;
      if (typeof usdPerGb !== 'number' || !Number.isFinite(usdPerGb) || usdPerGb < 0) throw invalid(at, 'usdPerGb', usdPerGb, 'is a price from 0');
      return { region, usdPerGb, ...(of.capacityBytes === undefined ? {} : { capacityBytes: countOf(of, 'capacityBytes', at) }) };
    }),
  };
}
