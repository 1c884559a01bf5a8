import { DemandCounters, DemandModel, type DemandView, type ImageForecast } from '#demand';
import { HOUR_MS } from '#quantities';

import { planRegion } from '../../plan-region.js';
import { forecastImages } from '../../image-generations.js';
import { type HeldReplica, imageKey, PLACEMENT_PARAMETERS_DEFAULT, type PlacementImage, type PlacementParameters, type RegionFacts, type RegionPin } from '../../region-facts.js';
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
  readonly #counters = new DemandCounters();
  readonly #model = new DemandModel();
  readonly #pins: Map<number, { readonly pin: RegionPin; readonly untilMs: number }>[];
  #planAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: ReplayWorld, options: PlannedOptions = PLANNED_OPTIONS_DEFAULT) {
    super();
    this.name = options.oracle === undefined ? 'planned' : 'perfect-forecast';
    this.#world = world;
    this.#options = options;
    this.#pins = world.shares.map(() => new Map());
  }

  override pushed(image: number, atMs: number): void {
    const of = this.#world.catalogue.images[image];
    if (of === undefined) return;
    this.#images.set(image, { ...of, tags: [of.digest], pushedAt: new Date(atMs) });
    if (this.#options.onPush) this.#planAtMs = Math.min(this.#planAtMs, atMs);
  }

  override pulled({ image, share, atMs }: SeenPull): void {
    const { catalogue, places } = this.#world;
    const { repository, digest } = catalogue.images[image]!;
    this.#counters.add({ region: places.regions[share]?.region ?? places.home, repository, image: digest }, atMs);
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
    const forecasts = this.#options.oracle === undefined ? this.#foretold(images, atMs) : this.#foreseen(atMs, this.#options.oracle);
    for (const n of this.#world.shares.keys()) this.#plan(n, images, { atMs, forecasts: forecasts[n]! });
  }

  #plan(n: number, images: readonly PlacementImage[], { atMs, forecasts }: { readonly atMs: number; readonly forecasts: RegionFacts['forecasts'] }): void {
    const { catalogue, shares } = this.#world;
    const share = shares[n]!;
    const replicas: HeldReplica[] = [];
    for (const [layer, digest] of catalogue.layers.entries()) if (share.has(layer)) replicas.push({ layer: digest, sizeBytes: catalogue.sizes[layer] ?? 0, state: 'ready', leased: false });
    const facts: RegionFacts = {
      region: share.region.region,
      home: false,
      capacityBytes: share.capacityBytes,
      images, forecasts, replicas,
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

  /** As the planner has it: every plan learns from what came since the last one. */
  #foretold(placeable: readonly PlacementImage[], atMs: number): RegionFacts['forecasts'][] {
    const { places } = this.#world;
    const regions = [...places.regions.map(({ region }) => region), places.home];
    const images = forecastImages({ placeable, unfinished: [] });
    const view: DemandView = { at: new Date(atMs), regions, counters: this.#counters, images };
    this.#model.learn(view);
    const foretold = this.#model.forecast(view, this.#options.parameters.horizonMs);
    const keys = images.map(imageKey);
    return places.regions.map(({ region }) => new Map(foretold.get(region)!.map((forecast, n) => [keys[n]!, forecast])));
  }

  /** Forecasts that are just what will be pulled. */
  #foreseen(atMs: number, oracle: NonNullable<PlannedOptions['oracle']>): RegionFacts['forecasts'][] {
    const { horizonMs } = this.#options.parameters;
    return this.#world.shares.map((_, n) => new Map([...this.#images].map(([number, image]): [string, ImageForecast] => {
      const pulls = oracle(n, number, atMs, atMs + horizonMs);
      return [imageKey(image), { expectedPulls: pulls, ownPulls: pulls, inheritedPulls: 0, elsewherePulls: 0, probability: Math.min(1, pulls), low: pulls, high: pulls }];
    })));
  }
}
