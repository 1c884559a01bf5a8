import type { WriteFence } from '#claims';

import { ForecastLedger, type ForecastWindow } from '../forecast-ledger.js';

/** Forecasts in memory: for tests, gone with the object. */
export class MemoryForecastLedger extends ForecastLedger {
  readonly #windows = new Map<string, ForecastWindow>();

  async open(window: ForecastWindow, fence?: WriteFence): Promise<void> {
    await fence?.hold();
    if (!this.#windows.has(window.planId)) this.#windows.set(window.planId, window);
  }

  async latest(region: string): Promise<Date | undefined> {
    return this.#newestFirst(region)[0]?.madeAt;
  }

  async get(planId: string): Promise<ForecastWindow | undefined> {
    return this.#windows.get(planId);
  }

  async list(region: string, limit: number): Promise<readonly string[]> {
    return this.#newestFirst(region).slice(0, limit).map(({ planId }) => planId);
  }

  async due(now: Date, limit: number): Promise<readonly ForecastWindow[]> {
    return [...this.#windows.values()].filter(({ until, forecasts }) => until <= now && forecasts.some(({ pulls }) => pulls === undefined)).slice(0, limit);
  }

  async close(planId: string, pulls: readonly number[]): Promise<void> {
    const window = this.#windows.get(planId);
    if (window === undefined || window.forecasts.every((forecast) => forecast.pulls !== undefined)) return;
    this.#windows.set(planId, { ...window, forecasts: window.forecasts.map((forecast, n) => ({ ...forecast, pulls: pulls[n] ?? 0 })) });
  }

  async prune(before: Date): Promise<number> {
    const over = [...this.#windows.values()].filter(({ until }) => until < before);
    for (const { planId } of over) this.#windows.delete(planId);
    return over.reduce((sum, { forecasts }) => sum + forecasts.length, 0);
  }

  #newestFirst(region: string): ForecastWindow[] {
    return [...this.#windows.values()].filter((window) => window.region === region).toSorted((a, b) => b.madeAt.getTime() - a.madeAt.getTime());
  }
}
