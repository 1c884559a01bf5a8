import { type Clock, inSlices } from '#clock';
import type { ForecastWorld, RegionForecasts, StoredForecasts } from '#demand';
import type { Digest } from '#oci';
import { listActivePins, type PinStore } from '#pins';
import type { RegionName } from '#regions';

import { forecastImagesInSteps } from './image-generations.js';
import { PlacementError } from './placement-error.js';
import type { PlacementFacts, PlacementRegion } from './placement-ports.js';
import type { CatalogueImages, HeldReplica, PlacementParameters } from './region-facts.js';
import { resolvePins, type ResolvedPins } from './resolve-pins.js';
import type { TransferBudget } from './transfer-budget.js';

/** Images that one plan may look at: twice the goal of 50,000. */
export const PLACEMENT_IMAGES_MAX = 100_000;
/** Replicas in one region that one plan may look at, and layers referenced. */
export const PLACEMENT_LAYERS_MAX = 1_000_000;

/** Where the facts of a round come from. */
export interface RoundSources {
  readonly facts: PlacementFacts;
  readonly pins: PinStore;
  readonly forecasts: Pick<StoredForecasts, 'ofAll'>;
  readonly clock: Clock;
}

/** Everything that the plans of one instant are made from, read once for all regions. */
export interface PlanningRound {
  readonly now: Date;
  /** By name. */
  readonly regions: readonly PlacementRegion[];
  readonly images: CatalogueImages;
  readonly referenced: ReadonlySet<Digest>;
  readonly replicas: ReadonlyMap<RegionName, readonly HeldReplica[]>;
  readonly forecasts: RegionForecasts;
  readonly pins: ResolvedPins;
  /** The pins that the round knows. */
  readonly pinIds: ReadonlySet<string>;
  /** What may travel today; absent without any bound. */
  readonly budget?: TransferBudget;
  /** Present when it is about some repositories alone. */
  readonly only?: {
    /** In ascending order. */
    readonly repositories: readonly string[];
    /** By region, the bytes of everything else on its share. */
    readonly otherBytes: ReadonlyMap<RegionName, number>;
  };
}

/** Gathers what plans for everything are made from. @throws {PlacementError} `FACTS_TOO_MANY`. */
export async function gatherRound({ facts, forecasts, pins, clock }: RoundSources, { horizonMs }: PlacementParameters): Promise<PlanningRound> {
  const now = clock.now();
  // Pins before images: a pin made in between is found before anything is drained, and planned next time; an image deleted in between leaves a pin without an image.
  const activePins = await listActivePins(pins, now);
  const regions = byName(await facts.regions());
  const images = await facts.images(PLACEMENT_IMAGES_MAX);
  requireFewer('images', images.placeable.length + images.unfinished.length, PLACEMENT_IMAGES_MAX);
  const referenced = await facts.referencedLayers(now, PLACEMENT_LAYERS_MAX);
  requireFewer('referenced layers', referenced.size, PLACEMENT_LAYERS_MAX);
  const replicas = new Map<RegionName, readonly HeldReplica[]>();
  for (const { region } of regions) {
    const held = await facts.replicas(region, now, PLACEMENT_LAYERS_MAX);
    requireFewer(`replicas in ${region}`, held.length, PLACEMENT_LAYERS_MAX);
    replicas.set(region, held);
  }
  const budget = await facts.transferBudget(now);
  const foretold = await forecasts.ofAll(await worldOf(now, regions, images), horizonMs);
  const pinIds = new Set(activePins.map((pin) => pin.id));
  return { now, regions, images, referenced, replicas, forecasts: foretold, pins: resolvePins(activePins, images), pinIds, ...(budget === undefined ? {} : { budget }) };
}

/**
 * Gathers what plans for some repositories alone are made from; home is left out, where everything is expanded anyway. What their images have on a share counts as not to be moved, so that
 * such a plan only adds: what should give way is for a plan that sees everything.
 * @throws {PlacementError} `FACTS_TOO_MANY`.
 */
export async function gatherRoundOf(names: readonly string[], { facts, forecasts, pins, clock }: Omit<RoundSources, 'forecasts'> & { readonly forecasts: Pick<StoredForecasts, 'ofSome'> }, { horizonMs }: PlacementParameters): Promise<PlanningRound> {
  const now = clock.now();
  const repositories = [...new Set(names)].toSorted();
  const activePins = (await listActivePins(pins, now)).filter(({ repository }) => repositories.includes(repository));
  const regions = byName(await facts.regions()).filter(({ home }) => !home);
  const { images, replicas, otherBytes } = await facts.ofRepositories(repositories, PLACEMENT_IMAGES_MAX);
  requireFewer('images', images.placeable.length + images.unfinished.length, PLACEMENT_IMAGES_MAX);
  const budget = await facts.transferBudget(now);
  const foretold = await forecasts.ofSome(await worldOf(now, regions, images), horizonMs);
  // Nothing of it goes, and what passed stays what nobody ordered: the window is of the whole share, of which only a part is looked at.
  const fixed = new Map([...replicas].map(([region, held]) => [region, held.map((replica) => ({ ...replica, leased: replica.state !== 'draining', passedAt: undefined }))]));
  const pinIds = new Set(activePins.map((pin) => pin.id));
  return {
    now, regions, images, pinIds,
    referenced: new Set(),
    replicas: fixed,
    forecasts: foretold,
    pins: resolvePins(activePins, images),
    only: { repositories, otherBytes },
    ...(budget === undefined ? {} : { budget }),
  };
}

async function worldOf(at: Date, regions: readonly PlacementRegion[], images: CatalogueImages): Promise<ForecastWorld> {
  return { at, regions: regions.map(({ region }) => region), images: await inSlices(forecastImagesInSteps(images)) };
}

function byName(regions: readonly PlacementRegion[]): PlacementRegion[] {
  return regions.toSorted((a, b) => (a.region < b.region ? -1 : 1));
}

function requireFewer(what: string, count: number, max: number): void {
  if (count >= max) throw new PlacementError('FACTS_TOO_MANY', `there are ${max} ${what} or more: no plan is made on a part of them`, { details: { what, max } });
}
