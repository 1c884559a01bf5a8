import { readFile } from 'node:fs/promises';

import type { ExpandedLayer } from '#expansion';
import { canMountThroughFiles, canMountViews, checkErofs, compareView, expandBytes, type ExpandedStack, expandViewOf, hasProgram, temporaryFolder, withMountedStack } from '#expansion/testing';
import type { Digest } from '#oci';
import { KiB, MiB } from '#quantities';
import { MemoryShare } from '#shares/testing';

import { BUILT_LAYERS, buildImage } from './build-image.js';
import type { CampaignFigure } from './large-layers.js';

/** What is promised of a merged view: "a few MB at most" for images that there are, and a mount that does not follow the number of layers. */
const MAX_VIEW_MIB = 8;
const MAX_VIEW_BYTES_PER_NAME = 192;
const MAX_MAKING_MS = 30_000;
const MIN_LAYERS = 25;
/** Of the time that the layers and their overlay take. Most of both is the making of loop devices where there have to be some. */
const MOUNT_RATIOS = { files: 0.5, loops: 1.5 };

/** Which image is wanted. */
export interface RealImageWanted {
  /** A part of the names of the figures; empty for all. */
  readonly only: string;
  /** The folder of an OCI image layout with one image, layers as they are; empty to build one. */
  readonly layout: string;
}

/** Builds an image of many layers, expands it, and compares its merged view with the overlay of its layers, in every way in which the kernel mounts it. */
export async function runRealImage({ only, layout }: RealImageWanted, print: (line: string) => void): Promise<CampaignFigure[]> {
  if (!'a real image'.includes(only)) return [];
  const missing = ['fsck.erofs', ...(layout === '' ? ['debootstrap', 'buildah'] : [])].filter((program) => !hasProgram(program));
  if (missing.length > 0 || !canMountViews()) {
    print(`a real image: skipped, for want of ${[...missing, ...(canMountViews() ? [] : ['root, or a kernel that mounts views'])].join(', ')}`);
    return [];
  }
  await using scratch = await temporaryFolder();
  const folder = layout === '' ? await buildImage(scratch.path, print) : layout;
  print('a real image, expanded …');
  const { stack, blobBytes } = await expandImage(folder);
  const began = performance.now();
  const view = await expandViewOf(stack);
  const makingMs = performance.now() - began;
  print(`a real image: ${stack.layers.length} layers, ${mebibytes(blobBytes)} MiB of blobs, ${mebibytes(filesBytes(stack))} MiB of files, ${namesOf(stack)} names in the layers, ${view.entryCount} in the view of ${view.vhd.sizeBytes} bytes`);
  const figures = [
    atLeast('layers of a real image', stack.layers.length, 'layers', layout === '' ? BUILT_LAYERS : MIN_LAYERS),
    atMost('the merged view of a real image', Number(mebibytes(view.vhd.sizeBytes)), 'MiB', MAX_VIEW_MIB),
    atMost('the merged view of a real image, for each name', Math.round(view.vhd.sizeBytes / view.entryCount), 'bytes', MAX_VIEW_BYTES_PER_NAME),
    atMost('making the merged view of a real image', Math.round(makingMs), 'ms', MAX_MAKING_MS),
  ];
  return [...figures, ...await compare(stack, print)];
}

async function compare(stack: ExpandedStack, print: (line: string) => void): Promise<CampaignFigure[]> {
  return withMountedStack(stack, async (mounted) => {
    const complaints = (await checkErofs(mounted.file, mounted.devices)).split('\n').filter((line) => line !== '');
    const figures = [atMost('complaints of fsck.erofs about the view', complaints.length, 'lines', 0)];
    for (const through of ['files', 'loops'] as const) {
      if (through === 'files' && !canMountThroughFiles()) continue;
      const { differences, mountMs } = await compareView(mounted, through);
      for (const difference of differences.slice(0, 20)) print(difference);
      figures.push(
        atMost(`differences from the overlay, through ${through}`, differences.length, 'names', 0),
        atMost(`mounting the view through ${through}, against all layers and their overlay`, Math.round(mountMs), 'ms', Math.round(MOUNT_RATIOS[through] * mounted.overlayMs)),
      );
    }
    return figures;
  });
}

/** Expands the layers of the one image of an OCI image layout (image-spec, image-layout.md), from the blobs as they are. */
async function expandImage(layout: string): Promise<{ readonly stack: ExpandedStack; readonly blobBytes: number }> {
  const blobOf = (digest: string): string => `${layout}/blobs/${digest.replace(':', '/')}`;
  const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'));
  const { manifests: [image] } = (await read(`${layout}/index.json`)) as { manifests: readonly { digest: Digest }[] };
  const manifest = (await read(blobOf(image!.digest))) as { layers: readonly { digest: Digest; size: number }[] };
  const share = new MemoryShare({ name: 'home' });
  const layers: ExpandedLayer[] = [];
  for (const { digest, size } of manifest.layers) {
    layers.push((await expandBytes({ layer: { digest, sizeBytes: size }, blob: await readFile(blobOf(digest)) }, { share, chunkBytes: 64 * KiB })).expanded);
  }
  return { stack: { share, layers }, blobBytes: manifest.layers.reduce((sum, layer) => sum + layer.size, 0) };
}

function filesBytes({ layers }: ExpandedStack): number {
  return layers.reduce((sum, layer) => sum + layer.vhd.sizeBytes, 0);
}

function namesOf({ layers }: ExpandedStack): number {
  return layers.reduce((sum, layer) => sum + layer.entryCount, 0);
}

function mebibytes(bytes: number): string {
  return (bytes / MiB).toFixed(1);
}

function atMost(name: string, value: number, unit: string, bound: number): CampaignFigure {
  return { name, value, unit, bound, holds: value <= bound };
}

function atLeast(name: string, value: number, unit: string, bound: number): CampaignFigure {
  return { name, value, unit, bound, holds: value >= bound };
}
