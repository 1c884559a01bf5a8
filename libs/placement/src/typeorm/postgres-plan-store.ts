import type { DataSource, EntityManager } from 'typeorm';

import type { WriteFence } from '#claims';
import { callersNow, type DecidingClock, decidingNow, millisecondsOf } from '#claims/typeorm';

import { type PlanCounts, type PlanPage, type PlanQuery, PlanStore, type PlanSummary, type PlanTerms, type PlanTriggerKind, type StoredPlan } from '../plan-store.js';
import type { PlacementDecision } from '../region-plan.js';

interface SummaryRow {
  readonly id: string;
  readonly region: string;
  readonly made_at: Date;
  readonly trigger: PlanTriggerKind;
  readonly repositories: string[] | null;
  readonly ordered_at: Date | null;
  readonly terms: PlanTerms | null;
  readonly capacity_bytes: string;
  readonly used_bytes: string;
  readonly forced_bytes: string;
  readonly draining_bytes: string;
  readonly counts: PlanCounts;
  readonly unresolved_pins: string[];
}

interface PlanRow extends SummaryRow {
  readonly decisions: PlacementDecision[];
  readonly decisions_omitted: number;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SUMMARY = 'id, region, made_at, trigger, repositories, ordered_at, terms, capacity_bytes, used_bytes, forced_bytes, draining_bytes, counts, unresolved_pins';

/** An instant that was `parameter` milliseconds before $16, now, on the clock that decides. */
const ago = (parameter: string): string => `${decidingNow('$16')} - ${millisecondsOf(parameter)}`;

/** Plans in the table `plans`, with instants of the clock that decides. */
export class PostgresPlanStore extends PlanStore {
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
  }

  async save(plan: StoredPlan, now: Date, fence?: WriteFence): Promise<void> {
    await this.#guarded(fence, (manager) => manager.query(
      `INSERT INTO plans (${SUMMARY}, decisions, decisions_omitted)
       VALUES ($1, $2, ${ago('$3')}, $4, $5::text[], ${ago('$6')}, $7::jsonb, $8, $9, $10, $11, $12::jsonb, $13::uuid[], $14::jsonb, $15) ON CONFLICT (id) DO NOTHING`,
      [plan.id, plan.region, now.getTime() - plan.madeAt.getTime(), plan.trigger, plan.repositories ?? null, plan.orderedAt === undefined ? null : now.getTime() - plan.orderedAt.getTime(), plan.terms === undefined ? null : JSON.stringify(plan.terms), plan.capacityBytes, plan.usedBytes, plan.forcedBytes,
        plan.drainingBytes, JSON.stringify(plan.counts), plan.unresolvedPins, JSON.stringify(plan.decisions), plan.decisionsOmittedCount, callersNow(this.#clock, now)],
    ));
  }

  async ordered(id: string, now: Date, fence?: WriteFence): Promise<void> {
    await this.#guarded(fence, (manager) => manager.query(`UPDATE plans SET ordered_at = ${decidingNow('$2')} WHERE id = $1 AND ordered_at IS NULL`, [id, callersNow(this.#clock, now)]));
  }

  async latest(region: string): Promise<StoredPlan | undefined> {
    const rows = await this.#dataSource.query<PlanRow[]>('SELECT * FROM plans WHERE region = $1 AND repositories IS NULL ORDER BY made_at DESC, id DESC LIMIT 1', [region]);
    return rows[0] === undefined ? undefined : planOf(rows[0]);
  }

  async get(id: string): Promise<StoredPlan | undefined> {
    if (!UUID.test(id)) return undefined;
    const rows = await this.#dataSource.query<PlanRow[]>('SELECT * FROM plans WHERE id = $1', [id]);
    return rows[0] === undefined ? undefined : planOf(rows[0]);
  }

  async history(query: PlanQuery): Promise<PlanPage> {
    const rows = await this.#dataSource.query<SummaryRow[]>(
      `SELECT ${SUMMARY} FROM plans WHERE region = $1 AND ($2::timestamptz IS NULL OR (made_at, id) < ($2, $3::uuid)) ORDER BY made_at DESC, id DESC LIMIT $4`,
      [query.region, query.before?.madeAt ?? null, query.before?.id ?? null, query.limit],
    );
    const plans = rows.map(summaryOf);
    const last = plans.at(-1);
    return { plans, ...(last === undefined || plans.length < query.limit ? {} : { next: { madeAt: last.madeAt, id: last.id } }) };
  }

  async prune(keep: number): Promise<number> {
    const [, count] = (await this.#dataSource.query(
      `DELETE FROM plans WHERE id IN (
         SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY region, repositories IS NULL ORDER BY made_at DESC, id DESC) AS place FROM plans) AS placed WHERE place > $1)`,
      [keep],
    )) as [unknown, number];
    return count;
  }

  async #guarded(fence: WriteFence | undefined, write: (manager: EntityManager) => Promise<unknown>): Promise<void> {
    await this.#dataSource.transaction(async (manager) => {
      await write(manager);
      await fence?.hold(manager);
    });
  }
}

function summaryOf(row: SummaryRow): PlanSummary {
  return {
    id: row.id,
    region: row.region,
    madeAt: row.made_at,
    trigger: row.trigger,
    ...(row.repositories === null ? {} : { repositories: row.repositories }),
    ...(row.terms === null ? {} : { terms: row.terms }),
    ...(row.ordered_at === null ? {} : { orderedAt: row.ordered_at }),
    capacityBytes: Number(row.capacity_bytes),
    usedBytes: Number(row.used_bytes),
    forcedBytes: Number(row.forced_bytes),
    drainingBytes: Number(row.draining_bytes),
    counts: row.counts,
    unresolvedPins: row.unresolved_pins,
  };
}

function planOf(row: PlanRow): StoredPlan {
  return { ...summaryOf(row), decisions: row.decisions, decisionsOmittedCount: row.decisions_omitted };
}
