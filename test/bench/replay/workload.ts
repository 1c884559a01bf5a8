import { imageKey, type ReplayCatalogue, type ReplayEvent, type ReplayRegions } from '#placement';

/** A history, whole in memory. */
export interface Workload {
  readonly catalogue: ReplayCatalogue;
  readonly places: ReplayRegions;
  /** In order of time. */
  readonly events: readonly ReplayEvent[];
}

/** What a history is like: the numbers that it is compared with published ones by. */
export interface WorkloadShape {
  readonly images: number;
  readonly layers: number;
  readonly catalogueBytes: number;
  /** Pushes at or after the first pull. */
  readonly pushes: number;
  readonly pulls: number;
  /** The share of pulls of layers that the most pulled hundredth of layers has. */
  readonly topLayersRatio: number;
  /** How differently regions pull: half the sum of differences between the shares that repositories have in two regions, the mean over all pairs. */
  readonly totalVariation: number;
  /** The share of pulls away from home that are the first of an image in their region. */
  readonly firstPullRatio: number;
}

/** Counts a history. */
export function shapeOf({ catalogue, places, events }: Workload): WorkloadShape {
  const layerPulls = new Float64Array(catalogue.layers.length);
  const byRegion = new Map<string, Map<string, number>>();
  const seen = new Set<string>();
  let [pushes, pulls, away, first] = [0, 0, 0, 0];
  for (const event of events) {
    if (event.kind === 'push' && pulls > 0) pushes += 1;
    if (event.kind !== 'pull') continue;
    pulls += 1;
    const image = catalogue.imageNumber.get(imageKey({ repository: event.repository, digest: event.image }));
    for (const layer of catalogue.layersOf[image ?? -1] ?? []) layerPulls[layer] = (layerPulls[layer] ?? 0) + 1;
    const repositories = byRegion.get(event.region) ?? new Map<string, number>();
    byRegion.set(event.region, repositories.set(event.repository, (repositories.get(event.repository) ?? 0) + 1));
    if (event.region === places.home) continue;
    away += 1;
    const key = `${event.region} ${image}`;
    if (!seen.has(key)) first += 1;
    seen.add(key);
  }
  const sorted = layerPulls.toSorted().toReversed();
  const sum = (values: Float64Array): number => values.reduce((all, each) => all + each, 0);
  return {
    images: catalogue.images.length, layers: catalogue.layers.length, catalogueBytes: catalogue.totalBytes, pushes, pulls,
    topLayersRatio: sum(sorted.slice(0, Math.ceil(sorted.length / 100))) / sum(sorted),
    totalVariation: meanVariation([...byRegion.values()]),
    firstPullRatio: first / away,
  };
}

function meanVariation(regions: readonly ReadonlyMap<string, number>[]): number {
  const shares = regions.map((repositories) => {
    const all = [...repositories.values()].reduce((sum, each) => sum + each, 0);
    return new Map([...repositories].map(([repository, pulls]) => [repository, pulls / all]));
  });
  const variations: number[] = [];
  for (const [n, one] of shares.entries()) {
    for (const other of shares.slice(n + 1)) {
      const repositories = new Set([...one.keys(), ...other.keys()]);
      variations.push([...repositories].reduce((sum, each) => sum + Math.abs((one.get(each) ?? 0) - (other.get(each) ?? 0)), 0) / 2);
    }
  }
  return variations.reduce((sum, each) => sum + each, 0) / variations.length;
}
