import { type DemandSurprise, SURPRISE_DEVIATIONS, type SurprisingDemand } from '#placement';
import { MINUTE_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { ClockedTask } from './clocked-tasks.js';
import type { Planning } from './planning.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often it is looked how far demand is off. */
const LOOK_EVERY_MS = MINUTE_MS;
/** Plans for surprises are at least so far apart, however wrong a forecast is: a plan takes in what came, and then the next one may as well wait for the clock. */
export const SURPRISE_PLANS_APART_MS = 5 * MINUTE_MS;

/** Has a plan made when demand is three deviations off its forecast, and again each time that it is three more off. */
export class DemandWatch {
  readonly #surroundings: WorkSurroundings;
  readonly #demand: SurprisingDemand;
  readonly #planning: Pick<Planning, 'planSoon'>;
  readonly #regions: readonly RegionName[];
  /** Of each region, the surprise that was planned for last. */
  readonly #planned = new Map<RegionName, DemandSurprise>();
  #plannedAtMs = Number.NEGATIVE_INFINITY;

  constructor(surroundings: WorkSurroundings, parts: { readonly demand: SurprisingDemand; readonly planning: Pick<Planning, 'planSoon'>; readonly regions: readonly RegionName[] }) {
    this.#surroundings = surroundings;
    this.#demand = parts.demand;
    this.#planning = parts.planning;
    this.#regions = parts.regions;
  }

  /** The looking that is done by the clock. */
  scheduled(): ClockedTask {
    return { name: 'watch demand', everyMs: LOOK_EVERY_MS, run: () => this.look() };
  }

  /** Looks once. @throws whatever asking throws. */
  async look(): Promise<void> {
    const { clock, logger } = this.#surroundings;
    const now = clock.now();
    if (now.getTime() < this.#plannedAtMs + SURPRISE_PLANS_APART_MS) return;
    const fresh = (await this.#demand.surprises(this.#regions, now)).filter((surprise) => this.#isNew(surprise));
    if (fresh.length === 0) return;
    for (const surprise of fresh) this.#planned.set(surprise.region, surprise);
    this.#plannedAtMs = now.getTime();
    logger.info({ surprises: fresh }, 'demand is not what was foreseen');
    this.#planning.planSoon('demand');
  }

  #isNew({ region, planId, deviations }: DemandSurprise): boolean {
    const planned = this.#planned.get(region);
    const before = planned?.planId === planId ? planned.deviations : 0;
    return Math.abs(deviations - before) >= SURPRISE_DEVIATIONS;
  }
}
