import { setTimeout as delay } from 'node:timers/promises';

import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';
import type { ExaminationStore, RegistryEvent } from '#registry';
import type { Logger, Metrics } from '#telemetry';

import type { WorkSignals } from '../work/work-signals.js';

/** How long the answer to a push waits for what it changed to be stored. */
export const NOTICE_MAX_MS = 2 * SECOND_MS;
/** Events that wait while the database is away; the oldest go, and are found when the registry is examined anew. */
export const NOTICES_WAITING_MAX = 10_000;
/** Events stored in one transaction. */
const BATCH_MAX = 500;
/** Between two tries while the database is away. */
const RETRY_MS = SECOND_MS;

/** What noticing takes. */
export interface NoticeTools {
  readonly examinations: Pick<ExaminationStore, 'intake'>;
  readonly clock: Clock;
  readonly signals: Pick<WorkSignals, 'examinationsWanted'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * Takes in what passes through to the registry and changes something there, as if the registry had told of it: by the same intake, so that a notification of the same push
 * changes nothing more. Stored before the client is answered while the database answers; no push fails or waits for long because it does not.
 */
export class NoticedChanges {
  readonly #tools: NoticeTools;
  readonly #stopping = new AbortController();
  readonly #waiting: RegistryEvent[] = [];
  #storing: Promise<void> | undefined;
  #failing = false;

  constructor(tools: NoticeTools) {
    this.#tools = tools;
  }

  /** How many events wait to be stored. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Returns when the events are stored; at the latest after {@link NOTICE_MAX_MS}, and at once while storing fails. Never throws. */
  async notice(events: readonly RegistryEvent[]): Promise<void> {
    if (events.length === 0) return;
    this.#waiting.push(...events);
    const given = this.#waiting.splice(0, Math.max(0, this.#waiting.length - NOTICES_WAITING_MAX));
    if (given.length > 0) this.#tools.logger.warn({ count: given.length }, 'changes that passed through were given up: they will be found when the registry is examined anew');
    const storing = this.#store();
    if (this.#failing) return;
    const timer = new AbortController();
    await Promise.race([storing, delay(NOTICE_MAX_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }

  /** Tries once more to store what waits, and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#storing;
    if (this.#waiting.length > 0) await this.#storeSome();
    if (this.#waiting.length > 0) this.#tools.logger.warn({ count: this.#waiting.length }, 'changes that passed through could not be stored: they will be found when the registry is examined anew');
  }

  #store(): Promise<void> {
    this.#storing ??= this.#storeAll().finally(() => (this.#storing = undefined));
    return this.#storing;
  }

  async #storeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stopping.signal.aborted) {
      this.#failing = !(await this.#storeSome());
      if (this.#failing) await delay(RETRY_MS, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => undefined);
    }
  }

  async #storeSome(): Promise<boolean> {
    const { examinations, clock, signals, metrics, logger } = this.#tools;
    const batch = this.#waiting.slice(0, BATCH_MAX);
    try {
      // Events that are offered again after an unknown outcome are recognised by their ids.
      const { fresh, wantedCount } = await examinations.intake(batch, clock.now());
      const stored = new Set(batch);
      this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((event) => !stored.has(event)));
      metrics.notifications.inc({ outcome: 'noticed' }, fresh.length);
      if (wantedCount > 0) signals.examinationsWanted();
      return true;
    } catch (error) {
      logger.warn({ error, waiting: this.#waiting.length }, 'changes that passed through could not be stored yet');
      return false;
    }
  }
}
