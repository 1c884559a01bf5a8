import { add, type DecayedCount, weightAt } from '#demand';
import { HOUR_MS } from '#quantities';

import { planRegion } from '../../plan-region.js';
import { crossRegionDemand } from '../../cross-region-demand.js';
import { type HeldReplica, imageKey, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, type PlacementParameters, type RegionDemand, type RegionFacts, type RegionPin } from '../../region-facts.js';
import { ReplayPolicy, type ReplayWorld, type SeenPull } from '../replay-policy.js';

/** How the planned policy plans. */
export interface PlannedOptions {
  readonly parameters: PlacementParameters;
  /** How far plans by the clock are apart. */
  readonly everyMs: number;
  /** Whether a push is planned for at once. */
  readonly onPush: boolean;
  /** Tells the time in milliseconds, for `planMs`; without it nothing is timed. */
  readonly stopwatch?: () => number;
  /** Tells how often an image will be pulled in a region between two instants: perfect forecasts only. */
  readonly oracle?: (share: number, image: number, fromMs: number, toMs: number) => number;
}

/** The planner's own parameters, by the hour. */
export const PLANNED_OPTIONS_DEFAULT: PlannedOptions = { parameters: PLACEMENT_PARAMETERS_DEFAULT, everyMs: HOUR_MS, onPush: true };

/**
 * What this product does: its own planner, on counts as its own demand room keeps them, by the clock and at every push. Copies are there as soon as they are ordered. A miss
 * brings nothing: nodes fetch blobs then, and what is wanted on the share is copied there besides, and paid again.
 */
export class PlannedPolicy extends ReplayPolicy {
  override readonly name: string;
  /** How long each plan of a region took. */
  readonly planMs: number[] = [];
  readonly #world: ReplayWorld;
  readonly #options: PlannedOptions;
  readonly #images = new Map<number, PlacementImage>();
  /** By region, home last, then by image. */
  readonly #counts: Map<number, DecayedCount>[];
  readonly #pins: Map<number, { readonly pin: RegionPin; readonly untilMs: number }>[];
  #planAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: ReplayWorld, options: PlannedOptions = PLANNED_OPTIONS_DEFAULT) {
    super();
    this.name = options.oracle === undefined ? 'planned' : 'perfect-forecast';
    this.#world = world;
    this.#options = options;
    this.#counts = [...world.shares, undefined].map(() => new Map());
    this.#pins = world.shares.map(() => new Map());
  }

  override pushed(image: number, atMs: number): void {
    const of = this.#world.catalogue.images[image];
    if (of === undefined) return;
    this.#images.set(image, { ...of, tags: [of.digest], pushedAt: new Date(atMs) });
    if (this.#options.onPush) this.#planAtMs = Math.min(this.#planAtMs, atMs);
  }

  override pulled({ image, share, atMs }: SeenPull): void {
    const counts = this.#counts.at(share)!;
    const one = { weight: 1, at: new Date(atMs) };
    const known = counts.get(image);
    counts.set(image, known === undefined ? one : add(known, one, this.#options.parameters.forecast.halfLifeMs));
    this.#planAtMs = Math.max(this.#planAtMs, Number.MIN_SAFE_INTEGER);
  }

  override deleted(image: number): void {
    this.#images.delete(image);
  }

  override pinned(image: number, share: number, untilMs: number): void {
    const of = this.#world.catalogue.images[image];
    if (of === undefined) return;
    this.#pins[share]?.set(image, { pin: { id: `pin ${image}`, image: of, priority: 0, createdAt: new Date(0) }, untilMs });
    this.#planAtMs = Number.MIN_SAFE_INTEGER;
  }

  override passed(atMs: number): void {
    // Nothing is planned for before the first pull: nobody has asked for anything.
    if (this.#planAtMs === Number.NEGATIVE_INFINITY || atMs < this.#planAtMs) return;
    this.#planAtMs = atMs + this.#options.everyMs;
    const images = [...this.#images.values()];
    const demand = this.#options.oracle === undefined ? this.#demand(atMs) : this.#foreseen(atMs, this.#options.oracle);
    for (const n of this.#world.shares.keys()) this.#plan(n, images, { atMs, demand: demand[n]! });
  }

  #plan(n: number, images: readonly PlacementImage[], { atMs, demand }: { readonly atMs: number; readonly demand: RegionDemand }): void {
    const { catalogue, shares } = this.#world;
    const share = shares[n]!;
    const replicas: HeldReplica[] = [];
    for (const [layer, digest] of catalogue.layers.entries()) if (share.has(layer)) replicas.push({ layer: digest, sizeBytes: catalogue.sizes[layer] ?? 0, state: 'ready', leased: false });
    const facts: RegionFacts = {
      region: share.region.region,
      home: false,
      capacityBytes: share.capacityBytes,
      images, demand, replicas,
      unfinished: [],
      pins: [...this.#pins[n]!.values()].filter(({ untilMs }) => untilMs > atMs).map(({ pin }) => pin),
      referenced: new Set(),
      mustKeep: new Set(),
      readyElsewhere: new Set(),
      parameters: this.#options.parameters,
    };
    const beganMs = this.#options.stopwatch?.();
    const plan = planRegion(facts);
    if (beganMs !== undefined) this.planMs.push(this.#options.stopwatch!() - beganMs);
    for (const { layer } of plan.drains) share.remove(catalogue.layerNumber.get(layer) ?? -1);
    for (const { layer } of plan.wants) share.copy(catalogue.layerNumber.get(layer) ?? -1);
  }

  #demand(atMs: number): RegionDemand[] {
    const at = new Date(atMs);
    const { halfLifeMs } = this.#options.parameters.forecast;
    const { catalogue, places } = this.#world;
    const counts = this.#counts.flatMap((of, n) =>
      [...of].map(([image, count]) => ({ region: places.regions[n]?.region ?? places.home, image: catalogue.images[image]!, weight: weightAt(count, at, halfLifeMs) })),
    );
    const byRegion = crossRegionDemand(counts, this.#options.parameters.crossRegionRatio);
    return places.regions.map(({ region }) => byRegion.get(region) ?? { images: new Map(), repositories: new Map() });
  }

  /** Demand of which the forecast is just what will be pulled. */
  #foreseen(atMs: number, oracle: NonNullable<PlannedOptions['oracle']>): RegionDemand[] {
    const { horizonMs, halfLifeMs } = this.#options.parameters.forecast;
    const weightPerPull = halfLifeMs / (Math.LN2 * horizonMs);
    return this.#world.shares.map((_, n) => {
      const images = new Map<string, number>();
      const repositories = new Map<string, number>();
      for (const [number, image] of this.#images) {
        const weight = oracle(n, number, atMs, atMs + horizonMs) * weightPerPull;
        if (weight === 0) continue;
        images.set(imageKey(image), weight);
        repositories.set(image.repository, (repositories.get(image.repository) ?? 0) + weight);
      }
      return { images, repositories };
    });
  }
}
