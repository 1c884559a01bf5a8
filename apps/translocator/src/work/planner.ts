import { PLACEMENT_PARAMETERS_DEFAULT, Planner, type PlannerOptions, TURN_WAIT_DEFAULT_MS } from '#placement';

import type { WorkSurroundings } from './work-surroundings.js';

/** The planner of the configuration. */
export function planner({ config, clock, owner }: WorkSurroundings, tools: Pick<PlannerOptions, 'facts' | 'orders' | 'pins' | 'forecasts' | 'plans' | 'outcomes' | 'turn'>): Planner {
  const { every: _every, plansKept: _plansKept, forecastsKeptFor: _forecastsKeptFor, usdPerDay: _usdPerDay, pushReserveRatio: _pushReserveRatio, turnLease, smallLayer: smallLayerBytes, ...weights } = config.placement;
  return new Planner({
    ...tools,
    clock,
    owner,
    parameters: { ...PLACEMENT_PARAMETERS_DEFAULT, smallLayerBytes, ...weights },
    turnLeaseMs: turnLease,
    turnWaitMs: TURN_WAIT_DEFAULT_MS,
  });
}
