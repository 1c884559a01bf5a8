import type { WriteFence } from '#claims';

import { type PlanCursor, type PlanPage, type PlanQuery, PlanStore, type PlanSummary, type StoredPlan } from '../plan-store.js';

/** Plans in memory: for tests, gone with the object. */
export class MemoryPlanStore extends PlanStore {
  readonly #plans = new Map<string, StoredPlan>();

  async save(plan: StoredPlan, _now: Date, fence?: WriteFence): Promise<void> {
    await fence?.hold();
    if (!this.#plans.has(plan.id)) this.#plans.set(plan.id, plan);
  }

  async ordered(id: string, at: Date, fence?: WriteFence): Promise<void> {
    await fence?.hold();
    const plan = this.#plans.get(id);
    if (plan !== undefined && plan.orderedAt === undefined) this.#plans.set(id, { ...plan, orderedAt: at });
  }

  async latest(region: string): Promise<StoredPlan | undefined> {
    return this.#newestFirst(region).find((plan) => plan.repositories === undefined);
  }

  async get(id: string): Promise<StoredPlan | undefined> {
    return this.#plans.get(id);
  }

  async history(query: PlanQuery): Promise<PlanPage> {
    const { region, before, limit } = query;
    const plans = this.#newestFirst(region)
      .filter((plan) => before === undefined || compare(plan, before) > 0)
      .slice(0, limit)
      .map(({ decisions: _decisions, decisionsOmittedCount: _omitted, ...summary }): PlanSummary => summary);
    const last = plans.at(-1);
    return { plans, ...(last === undefined || plans.length < limit ? {} : { next: { madeAt: last.madeAt, id: last.id } }) };
  }

  async prune(keep: number): Promise<number> {
    const regions = new Set([...this.#plans.values()].map((plan) => plan.region));
    const old = [...regions].flatMap((region) => {
      const plans = this.#newestFirst(region);
      return [plans.filter((plan) => plan.repositories === undefined), plans.filter((plan) => plan.repositories !== undefined)].flatMap((of) => of.slice(keep));
    });
    for (const { id } of old) this.#plans.delete(id);
    return old.length;
  }

  #newestFirst(region: string): StoredPlan[] {
    return [...this.#plans.values()].filter((plan) => plan.region === region).toSorted(compare);
  }
}

function compare(a: PlanCursor, b: PlanCursor): number {
  return b.madeAt.getTime() - a.madeAt.getTime() || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}
