import { type DemandSurprise, SURPRISE_DEVIATIONS, type SurprisingDemand } from '#placement';
import { DAY_MS, MINUTE_MS } from '#quantities';
import type { RegionName } from '#regions';

import type { ClockedTask } from './clocked-tasks.js';
import type { Planning } from './planning.js';
import type { WorkSurroundings } from './work-surroundings.js';

/** How often it is looked how far demand is off. */
const LOOK_EVERY_MS = MINUTE_MS;
/** Plans for surprises are at least so far apart, however wrong a forecast is; that doubles with every one of the same day but the first, so that there are nine in a day at most. */
export const SURPRISE_PLANS_APART_MS = 5 * MINUTE_MS;
/** Surprises that are named in the log. */
const SURPRISES_LOGGED_MAX = 10;

/** Has a plan made when demand of a region, or of an image in it, is three deviations off its forecast, and again each time that it is three more off. */
export class DemandWatch {
  readonly #surroundings: WorkSurroundings;
  readonly #demand: SurprisingDemand;
  readonly #planning: Pick<Planning, 'planSoon'>;
  readonly #regions: readonly RegionName[];
  /** Of each region, and of each image in it that was one, the surprise that was planned for last; of the forecasts that hold. */
  readonly #planned = new Map<string, DemandSurprise>();
  /** When plans were asked for on the day of the last one. */
  #askedAtMs: number[] = [];

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
    if (now.getTime() < this.#waitsUntilMs()) return;
    const surprises = await this.#demand.surprises(this.#regions, now);
    const fresh = surprises.filter((surprise) => this.#isNew(surprise));
    this.#forgetFormer(new Set(surprises.map(({ planId }) => planId)));
    if (fresh.length === 0) return;
    for (const surprise of fresh) this.#planned.set(keyOf(surprise), surprise);
    this.#askedAtMs = [...this.#askedAtMs.filter((atMs) => dayOf(atMs) === dayOf(now.getTime())), now.getTime()];
    logger.info({ surprises: fresh.slice(0, SURPRISES_LOGGED_MAX), count: fresh.length }, 'demand is not what was foreseen');
    this.#planning.planSoon('demand');
  }

  #waitsUntilMs(): number {
    const lastMs = this.#askedAtMs.at(-1);
    return lastMs === undefined ? Number.NEGATIVE_INFINITY : lastMs + SURPRISE_PLANS_APART_MS * 2 ** (this.#askedAtMs.length - 1);
  }

  #isNew(surprise: DemandSurprise): boolean {
    const planned = this.#planned.get(keyOf(surprise));
    const before = planned?.planId === surprise.planId ? planned.deviations : 0;
    return Math.abs(surprise.deviations - before) >= SURPRISE_DEVIATIONS;
  }

  #forgetFormer(planIds: ReadonlySet<string>): void {
    for (const [key, { planId }] of this.#planned) if (!planIds.has(planId)) this.#planned.delete(key);
  }
}

function keyOf({ region, image }: DemandSurprise): string {
  return image === undefined ? region : `${region} ${image.repository} ${image.digest}`;
}

function dayOf(atMs: number): number {
  return Math.floor(atMs / DAY_MS);
}
