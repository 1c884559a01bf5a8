import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

import { digestOf } from '#oci';
import type { ReplayImage } from '#placement';

import { traceFile } from '../trace-file.js';

/** A repository of the crawled catalogue. */
export interface CrawledRepository {
  readonly name: string;
  /** Oldest first: what there was when the window began, and what was pushed in it. */
  readonly images: readonly { readonly image: ReplayImage; readonly pushedAtMs: number }[];
  /** How many Dockerfiles build on it. */
  readonly usedCount: number;
}

/** Which part of the catalogue is taken. */
export interface CatalogueWindow {
  readonly beginMs: number;
  readonly endMs: number;
  readonly repositoryCount: number;
  /** Images of a repository that are there when the window begins: its newest. */
  readonly olderCount: number;
}

/** Smaller layers are left out: there are many, and together they hold a few bytes in ten thousand. */
const LAYER_BYTES_MIN = 1e6;
/** One image for many boards, under many names. */
const DUPLICATES = /balenalib|arm/;

/** Every repository that was pushed to within the window, and the most used of the others, by how often Dockerfiles build on them. Tags of the same layers are one image. */
export function readRepositories(window: CatalogueWindow): CrawledRepository[] {
  const [head = '', ...lines] = gunzipSync(readFileSync(traceFile('image_catalog.jsonl.gz'))).toString().trim().split('\n');
  const { layer_sizes_compressed_bytes: sizes } = JSON.parse(head) as { layer_sizes_compressed_bytes: number[] };
  const all = lines.map((line) => repositoryOf(JSON.parse(line) as CrawledLine, sizes, window)).filter(({ images, name }) => images.length > 0 && !DUPLICATES.test(name));
  return all.toSorted((a, b) => Number(b.isPushedTo) - Number(a.isPushedTo) || b.usedCount - a.usedCount || (a.name < b.name ? -1 : 1)).slice(0, window.repositoryCount);
}

interface CrawledLine {
  readonly repo: string;
  readonly from_counts: Readonly<Record<string, number>> | null;
  readonly tags: readonly (readonly [tag: string, created: string, layers: readonly number[]])[];
}

function repositoryOf({ repo, from_counts: usedBy, tags }: CrawledLine, sizes: readonly number[], { beginMs, endMs, olderCount }: CatalogueWindow): CrawledRepository & { readonly isPushedTo: boolean } {
  const byLayers = new Map<string, CrawledRepository['images'][number]>();
  for (const [, created, layerIds] of tags) {
    const pushedAtMs = Date.parse(`${created}Z`);
    const layers = layerIds.filter((id) => (sizes[id] ?? 0) >= LAYER_BYTES_MIN).map((id) => ({ digest: digestOf(`layer ${id}`), sizeBytes: sizes[id]! }));
    const key = layers.map(({ digest }) => digest).join();
    if (!(pushedAtMs < endMs) || layers.length === 0 || byLayers.has(key)) continue;
    byLayers.set(key, { image: { repository: repo, digest: digestOf(`image ${repo} ${key}`), layers }, pushedAtMs });
  }
  const images = [...byLayers.values()].toSorted((a, b) => a.pushedAtMs - b.pushedAtMs);
  const newer = images.filter(({ pushedAtMs }) => pushedAtMs >= beginMs);
  const older = images.slice(0, images.length - newer.length).slice(-olderCount);
  return { name: repo, images: [...older, ...newer], isPushedTo: newer.length > 0, usedCount: Object.values(usedBy ?? {}).reduce((sum, each) => sum + each, 0) };
}
