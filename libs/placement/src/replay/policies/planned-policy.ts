import { DemandCounters, DemandModel, type DemandView, type ImageForecast } from '#demand';
import { HOUR_MS } from '#quantities';

import { forecastImages } from '../../image-generations.js';
import { orderRegion } from '../../plan-region.js';
import { windowLimits } from '../../reactive-window.js';
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
  /**
   * Tells what is to be expected of an image in a region between two instants, when the first of them is now, by whoever knows what pulls are drawn from: in place of forecasts. Read where there is no oracle. Which images were pulled where is
   * seen as ever.
   */
  readonly rates?: (share: number, image: number, fromMs: number, toMs: number) => Pick<ImageForecast, 'expectedPulls' | 'probability'>;
}

/** The planner's own parameters, by the hour. */
export const PLANNED_OPTIONS_DEFAULT: PlannedOptions = { parameters: PLACEMENT_PARAMETERS_DEFAULT, everyMs: HOUR_MS, onPush: true };

/** What one region's plans go by. */
interface RegionState {
  /** Images that were pulled here. */
  readonly pulled: Set<number>;
  readonly pins: Map<number, { readonly pin: RegionPin; readonly untilMs: number }>;
  /** What the last plan by the clock went by, and pushes and pulls since. */
  forecasts: RegionFacts['forecasts'];
  /** The layers that are there because they passed, and since when; in that order. */
  readonly passed: Map<number, number>;
  /** Of these: bytes. */
  passedBytes: number;
}

/**
 * What this product does: its own planner, on counts as its own demand room keeps them, by the clock and at every push. Copies are there as soon as they are ordered. Pulls go through their
 * region's gateway, which keeps layers that pass, as the service does, in the reactive window of the share, where what passed longest ago goes when more passes. Its room comes free at once, as everybody's
 * does here: so nothing of the window has to be free beforehand. With no reactive part a miss brings nothing.
 */
export class PlannedPolicy extends ReplayPolicy {
  override readonly name: string;
  /** How long each plan of a region took. */
  readonly planMs: number[] = [];
  readonly #world: ReplayWorld;
  readonly #options: PlannedOptions;
  /** By repository. */
  readonly #images = new Map<string, Map<number, PlacementImage>>();
  /** All of them; absent when that has changed. */
  #listed: readonly PlacementImage[] | undefined;
  readonly #counters = new DemandCounters();
  readonly #model = new DemandModel();
  readonly #regions: readonly RegionState[];
  #planAtMs = Number.NEGATIVE_INFINITY;
  /** When the last plan by the clock was made. */
  #plannedAtMs = Number.POSITIVE_INFINITY;

  constructor(world: ReplayWorld, options: PlannedOptions = PLANNED_OPTIONS_DEFAULT) {
    super();
    this.name = options.oracle !== undefined ? 'perfect-forecast' : options.rates !== undefined ? 'known-rates' : 'planned';
    this.#world = world;
    this.#options = options;
    this.#regions = world.shares.map(() => ({ pulled: new Set(), pins: new Map(), forecasts: new Map(), passed: new Map(), passedBytes: 0 }));
  }

  override pushed(image: number, atMs: number): void {
    const of = this.#world.catalogue.images[image];
    if (of === undefined) return;
    const images = this.#images.get(of.repository) ?? new Map<number, PlacementImage>();
    this.#images.set(of.repository, images.set(image, { ...of, tags: [of.digest], pushedAt: new Date(atMs) }));
    this.#listed = undefined;
    // Before the first plan nobody has asked for anything; what was pushed long ago is no news.
    if (this.#options.onPush && atMs >= this.#plannedAtMs) this.#planPushed(image, atMs);
  }

  override pulled({ image, share, atMs }: SeenPull, isHit: boolean): void {
    const { catalogue, places } = this.#world;
    const { repository, digest } = catalogue.images[image]!;
    this.#counters.add({ region: places.regions[share]?.region ?? places.home, repository, image: digest }, atMs);
    this.#planAtMs = Math.max(this.#planAtMs, Number.MIN_SAFE_INTEGER);
    this.#regions[share]?.pulled.add(image);
    if (!isHit && share >= 0 && this.#options.parameters.reactiveRatio > 0) this.#keepPassing(image, share, atMs);
  }

  override deleted(image: number): void {
    this.#images.get(this.#world.catalogue.images[image]?.repository ?? '')?.delete(image);
    this.#listed = undefined;
  }

  override pinned(image: number, share: number, untilMs: number): void {
    const of = this.#world.catalogue.images[image];
    if (of === undefined) return;
    const pins = this.#regions[share]?.pins;
    // Of several pins of an image the one that holds longest counts.
    pins?.set(image, { pin: { id: `pin ${image}`, image: of, priority: 0, createdAt: new Date(0) }, untilMs: Math.max(untilMs, pins.get(image)?.untilMs ?? untilMs) });
    this.#planAtMs = Number.MIN_SAFE_INTEGER;
  }

  override passed(atMs: number): void {
    // Nothing is planned for before the first pull: nobody has asked for anything.
    if (this.#planAtMs === Number.NEGATIVE_INFINITY) return;
    if (atMs >= this.#planAtMs) this.#planAll(atMs);
  }

  #planAll(atMs: number): void {
    this.#planAtMs = atMs + this.#options.everyMs;
    this.#plannedAtMs = atMs;
    for (const [n, forecasts] of this.#foretold(this.#allImages(), atMs, true).entries()) {
      this.#regions[n]!.forecasts = forecasts;
      this.#plan(n, atMs);
    }
  }

  /** Plans for a push in the regions where it may be wanted. Of the other repositories the last plan's forecasts are taken, of which none is older than plans are apart. */
  #planPushed(image: number, atMs: number): void {
    const of = this.#world.catalogue.images[image]!;
    const key = imageKey(of);
    const { minimumExpectedPulls, leastExpectedPulls } = this.#options.parameters;
    for (const [n, own] of this.#foretold(this.#imagesOf([of.repository]), atMs, false).entries()) {
      const region = this.#regions[n]!;
      region.forecasts = new Map([...region.forecasts, ...own]);
      const pulls = own.get(key)?.expectedPulls ?? 0;
      if (pulls > 0 && pulls >= Math.min(minimumExpectedPulls, leastExpectedPulls)) this.#plan(n, atMs);
    }
  }

  /** Keeps what a pull brought, as the gateway does: each layer by itself. */
  #keepPassing(image: number, n: number, atMs: number): void {
    const { catalogue, shares } = this.#world;
    const [share, region] = [shares[n]!, this.#regions[n]!];
    const { bytesMax } = windowLimits(this.#options.parameters.reactiveRatio, share.capacityBytes);
    for (const layer of catalogue.layersOf[image]!) {
      const bytes = catalogue.sizes[layer]!;
      if (share.has(layer) || bytes > bytesMax) continue;
      for (const oldest of region.passed.keys()) {
        if (region.passedBytes + bytes <= bytesMax) break;
        this.#forgetPassed(n, oldest);
        share.remove(oldest);
      }
      if (share.heldBytes + bytes > share.capacityBytes) continue;
      share.keepPulled(layer);
      region.passed.set(layer, atMs);
      region.passedBytes += bytes;
    }
  }

  #forgetPassed(n: number, layer: number): void {
    const region = this.#regions[n]!;
    if (region.passed.delete(layer)) region.passedBytes -= this.#world.catalogue.sizes[layer]!;
  }

  #allImages(): readonly PlacementImage[] {
    this.#listed ??= this.#imagesOf(this.#images.keys());
    return this.#listed;
  }

  #imagesOf(repositories: Iterable<string>): PlacementImage[] {
    return [...repositories].flatMap((repository) => [...(this.#images.get(repository)?.values() ?? [])]);
  }

  #plan(n: number, atMs: number): void {
    const { catalogue, shares } = this.#world;
    const { parameters } = this.#options;
    const [share, region] = [shares[n]!, this.#regions[n]!];
    const replicas: HeldReplica[] = [];
    for (const [layer, digest] of catalogue.layers.entries()) if (share.has(layer)) replicas.push({ layer: digest, sizeBytes: catalogue.sizes[layer] ?? 0, state: 'ready', leased: false, passedAt: passedAtOf(region, layer) });
    const facts: RegionFacts = {
      region: share.region.region,
      home: false,
      capacityBytes: share.capacityBytes,
      images: this.#allImages(),
      forecasts: region.forecasts,
      replicas, parameters,
      unfinished: [],
      pins: [...region.pins.values()].filter(({ untilMs }) => untilMs > atMs).map(({ pin }) => pin),
      referenced: new Set(),
      mustKeep: new Set(),
      readyElsewhere: new Set(),
    };
    const beganMs = this.#options.stopwatch?.();
    const plan = orderRegion(facts);
    if (beganMs !== undefined) this.planMs.push(this.#options.stopwatch!() - beganMs);
    for (const { layer: digest } of plan.drains) {
      const layer = catalogue.layerNumber.get(digest) ?? -1;
      this.#forgetPassed(n, layer);
      share.remove(layer);
    }
    for (const { layer } of plan.adoptions) this.#forgetPassed(n, catalogue.layerNumber.get(layer) ?? -1);
    for (const { layer } of plan.wants) share.copy(catalogue.layerNumber.get(layer) ?? -1);
  }

  /** By region: what is expected of some images. As the planner has it, every plan by the clock learns from what came since the last one. */
  #foretold(placeable: readonly PlacementImage[], atMs: number, learns: boolean): RegionFacts['forecasts'][] {
    const { oracle, rates, parameters } = this.#options;
    if (oracle !== undefined) return this.#foreseen(placeable, atMs, (n, image, toMs) => certainly(oracle(n, image, atMs, toMs)));
    if (rates !== undefined) return this.#foreseen(placeable, atMs, (n, image, toMs) => byRate(rates(n, image, atMs, toMs), this.#regions[n]!.pulled.has(image)));
    const { places } = this.#world;
    const regions = [...places.regions.map(({ region }) => region), places.home];
    const images = forecastImages({ placeable, unfinished: [] });
    const view: DemandView = { at: new Date(atMs), regions, counters: this.#counters, images };
    if (learns) this.#model.learn(view);
    const foretold = this.#model.forecast(view, parameters.horizonMs);
    const keys = images.map(imageKey);
    return places.regions.map(({ region }) => new Map(foretold.get(region)!.map((forecast, n) => [keys[n]!, forecast])));
  }

  /** Forecasts that somebody tells who knows more. */
  #foreseen(images: readonly PlacementImage[], atMs: number, forecast: (share: number, image: number, toMs: number) => ImageForecast): RegionFacts['forecasts'][] {
    const toMs = atMs + this.#options.parameters.horizonMs;
    const numbers = images.map((image) => this.#world.catalogue.imageNumber.get(imageKey(image))!);
    return this.#world.shares.map((_, n) => new Map(images.map((image, at): [string, ImageForecast] => [imageKey(image), forecast(n, numbers[at]!, toMs)])));
  }
}

/** The forecast that is just what will be pulled. */
function certainly(pulls: number): ImageForecast {
  return { expectedPulls: pulls, ownPulls: pulls, inheritedPulls: 0, elsewherePulls: 0, probability: Math.min(1, pulls), low: pulls, high: pulls };
}

/** The forecast by a known rate; of an image that was never pulled here none of it is its own. */
function byRate({ expectedPulls, probability }: Pick<ImageForecast, 'expectedPulls' | 'probability'>, wasPulled: boolean): ImageForecast {
  return { expectedPulls, ownPulls: wasPulled ? expectedPulls : 0, inheritedPulls: wasPulled ? 0 : expectedPulls, elsewherePulls: 0, probability, low: expectedPulls, high: expectedPulls };
}

function passedAtOf({ passed }: RegionState, layer: number): Date | undefined {
  const atMs = passed.get(layer);
  return atMs === undefined ? undefined : new Date(atMs);
}
