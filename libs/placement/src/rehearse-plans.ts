import { inSlices } from '#clock';
import type { StoredForecasts } from '#demand';
import type { RegionName } from '#regions';

import { comparePlans, type PlanComparison } from './compare-plans.js';
import { gatherRound, type PlanningRound, type RoundSources } from './gather-round.js';
import { planRoundInSteps } from './plan-round.js';
import { termsOf } from './plan-store.js';
import type { PlacementParameters } from './region-facts.js';
import type { RegionPlan } from './region-plan.js';
import { type DayBudgetChanges, withDayLimits } from './transfer-budget.js';

/** The parameters that a rehearsal may change. */
export type RehearsedParameters = Pick<PlacementParameters, 'minimumExpectedPulls' | 'leastExpectedPulls' | 'hitImages' | 'keepRatio' | 'heldBytesRatio' | 'switchGainRatio' | 'gigabyteWeight' | 'firstPullWeight' | 'smallLayersRatio' | 'reactiveRatio'>;

/** What a rehearsal changes; everything else is as it is. */
export interface RehearsedChanges {
  readonly parameters?: Partial<RehearsedParameters>;
  /** What shares may hold, in bytes, by region; a region that is not there is left alone. */
  readonly capacityBytes?: ReadonlyMap<RegionName, number>;
  /** What may travel on the day; left alone where nothing is bounded. */
  readonly budgets?: DayBudgetChanges;
}

/** Where the facts of a rehearsal come from. */
export interface RehearsalSources extends RoundSources {
  readonly forecasts: Pick<StoredForecasts, 'inPassing' | 'ofAll'>;
}

/** What a region's plan would be if something was otherwise. */
export interface RehearsedPlan {
  readonly region: RegionName;
  /** The instant of the facts. */
  readonly at: Date;
  /** Made of the same facts as things are, and with the changes; of neither anything was ordered or kept. */
  readonly asIs: RegionPlan;
  readonly changed: RegionPlan;
  readonly comparison: PlanComparison;
}

/**
 * Plans every region twice on the same facts, as things are and with changes. Writes nothing and needs no turn; a plan that is being carried out meanwhile is seen in part. Cost: of two plans.
 * @throws {PlacementError} `FACTS_TOO_MANY`; whatever the sources throw.
 */
export async function rehearsePlans(sources: RehearsalSources, parameters: PlacementParameters, changes: RehearsedChanges): Promise<RehearsedPlan[]> {
  const { forecasts } = sources;
  const round = await gatherRound({ ...sources, forecasts: { ofAll: (world, horizonMs) => forecasts.inPassing(world, horizonMs) } }, parameters);
  const regions = round.regions.map((place) => ({ ...place, capacityBytes: changes.capacityBytes?.get(place.region) ?? place.capacityBytes }));
  const changedParameters = { ...parameters, ...changes.parameters };
  const asIs = await inSlices(collected(round, parameters));
  const budget = round.budget === undefined ? {} : { budget: withDayLimits(round.budget, changes.budgets ?? {}) };
  const changed = await inSlices(collected({ ...round, ...budget, regions }, changedParameters));
  const [terms, changedTerms] = [termsOf(parameters), termsOf(changedParameters)];
  return round.regions.map(({ region }, n) => ({
    region, at: round.now, asIs: asIs[n]!, changed: changed[n]!,
    comparison: comparePlans({ ...asIs[n]!, terms }, { ...changed[n]!, terms: changedTerms }),
  }));
}

function* collected(round: PlanningRound, parameters: PlacementParameters): Generator<void, RegionPlan[]> {
  const plans: RegionPlan[] = [];
  for (const plan of planRoundInSteps(round, parameters)) {
    if (plan !== undefined) plans.push(plan);
    yield;
  }
  return plans;
}
