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
  /** By repository. */
  readonly #images = new Map<string, Map<number, PlacementImage>>();
  readonly #counters = new DemandCounters();
  readonly #model = new DemandModel();
  readonly #pins: Map<number, { readonly pin: RegionPin; readonly untilMs: number }>[];
  #planAtMs = Number.NEGATIVE_INFINITY;
  /** When the last plan by the clock was made. */
  #plannedAtMs = Number.POSITIVE_INFINITY;
  /** By region: what that plan went by, and pushes since. */
  #forecasts: RegionFacts['forecasts'][] = [];

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
    const images = this.#images.get(of.repository) ?? new Map<number, PlacementImage>();
    this.#images.set(of.repository, images.set(image, { ...of, tags: [of.digest], pushedAt: new Date(atMs) }));
    // Before the first plan nobody has asked for anything; what was pushed long ago is no news.
    if (this.#options.onPush && atMs >= this.#plannedAtMs) this.#planPushed(image, atMs);
  }

  override pulled({ image, share, atMs }: SeenPull): void {
    const { catalogue, places } = this.#world;
    const { repository, digest } = catalogue.images[image]!;
    this.#counters.add({ region: places.regions[share]?.region ?? places.home, repository, image: digest }, atMs);
    this.#planAtMs = Math.max(this.#planAtMs, Number.MIN_SAFE_INTEGER);
  }

  override deleted(image: number): void {
    this.#images.get(this.#world.catalogue.images[image]?.repository ?? '')?.delete(image);
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
    this.#plannedAtMs = atMs;
    const images = [...this.#images.values()].flatMap((of) => [...of.values()]);
    this.#forecasts = this.#foretold(images, atMs, true);
    for (const n of this.#world.shares.keys()) this.#plan(n, images, { atMs, forecasts: this.#forecasts[n]! });
  }

  /** Plans for a push in the regions where it may be wanted. Of the other repositories the last plan's forecasts are taken, of which none is older than plans are apart. */
  #planPushed(image: number, atMs: number): void {
    const of = this.#world.catalogue.images[image]!;
    const key = imageKey(of);
    const foretold = this.#foretold([...this.#images.get(of.repository)!.values()], atMs, false);
    const { minimumExpectedPulls, leastExpectedPulls } = this.#options.parameters;
    const images = [...this.#images.values()].flatMap((each) => [...each.values()]);
    for (const [n, own] of foretold.entries()) {
      this.#forecasts[n] = new Map([...this.#forecasts[n]!, ...own]);
      const pulls = own.get(key)?.expectedPulls ?? 0;
      if (pulls > 0 && pulls >= Math.min(minimumExpectedPulls, leastExpectedPulls)) this.#plan(n, images, { atMs, forecasts: this.#forecasts[n] });
    }
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

  /** By region: what is expected of some images. As the planner has it, every plan by the clock learns from what came since the last one. */
  #foretold(placeable: readonly PlacementImage[], atMs: number, learns: boolean): RegionFacts['forecasts'][] {
    const { oracle, parameters } = this.#options;
    if (oracle !== undefined) return this.#foreseen(placeable, atMs, oracle);
    const { places } = this.#world;
    const regions = [...places.regions.map(({ region }) => region), places.home];
    const images = forecastImages({ placeable, unfinished: [] });
    const view: DemandView = { at: new Date(atMs), regions, counters: this.#counters, images };
    if (learns) this.#model.learn(view);
    const foretold = this.#model.forecast(view, parameters.horizonMs);
    const keys = images.map(imageKey);
    return places.regions.map(({ region }) => new Map(foretold.get(region)!.map((forecast, n) => [keys[n]!, forecast])));
  }

  /** Forecasts that are just what will be pulled. */
  #foreseen(images: readonly PlacementImage[], atMs: number, oracle: NonNullable<PlannedOptions['oracle']>): RegionFacts['forecasts'][] {
    const { horizonMs } = this.#options.parameters;
    const numbers = images.map((image) => this.#world.catalogue.imageNumber.get(imageKey(image))!);
    return this.#world.shares.map((_, n) => new Map(images.map((image, at): [string, ImageForecast] => {
      const pulls = oracle(n, numbers[at]!, atMs, atMs + horizonMs);
      return [imageKey(image), { expectedPulls: pulls, ownPulls: pulls, inheritedPulls: 0, elsewherePulls: 0, probability: Math.min(1, pulls), low: pulls, high: pulls }];
    })));
  }
}
