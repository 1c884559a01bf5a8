import { randomUUID } from 'node:crypto';

import { beforeEach, describe, expect, it } from 'vitest';

import { WriteFence } from '#claims';
import { digestOf } from '#oci';

import type { ForecastLedger, ForecastWindow } from '../forecast-ledger.js';
import { SCENE_NOW } from './region-scene.js';

const later = (hours: number): Date => new Date(SCENE_NOW.getTime() + hours * 3_600_000);

function aWindow(hour: number, changes: Partial<ForecastWindow> = {}): ForecastWindow {
  const forecasts = [['a', 9.5, 3, 0.5], ['b', 2, 0, 0]] as const;
  return { planId: randomUUID(), region: 'eastus', madeAt: later(hour), until: later(hour + 2), forecasts: forecasts.map(([name, expectedPulls, pullsBefore, elsewherePulls]) => ({ repository: 'team/app', digest: digestOf(name), expectedPulls, elsewherePulls, pullsBefore })), ...changes };
}

/** Checks that an implementation keeps the contract of {@link ForecastLedger}; `open` gives an empty one for every test. */
export function forecastLedgerConformance(name: string, open: () => ForecastLedger): void {
  describe(`${name} keeps the contract of the ledger of forecasts`, () => {
    let ledger: ForecastLedger;
    beforeEach(() => {
      ledger = open();
    });

    it('gives windows back as they are, once however often they are opened', async () => {
      const window = aWindow(0);
      await ledger.open(window);
      await ledger.open({ ...window, until: later(9) });
      expect(await ledger.get(window.planId)).toEqual(window);
      expect(await ledger.get(randomUUID())).toBeUndefined();
      expect(await ledger.get('no id')).toBeUndefined();
    });

    it('lists a region\'s windows, the newest first, and knows the latest', async () => {
      const [first, second, other] = [aWindow(0), aWindow(1), aWindow(2, { region: 'westus' })];
      for (const window of [second, first, other]) await ledger.open(window);
      expect(await ledger.list('eastus', 10)).toEqual([second.planId, first.planId]);
      expect(await ledger.list('eastus', 1)).toEqual([second.planId]);
      expect([await ledger.latest('eastus'), await ledger.latest('mars')]).toEqual([second.madeAt, undefined]);
    });

    it('has windows due once they are over, until they are closed, and keeps the first closing', async () => {
      const [first, second] = [aWindow(0), aWindow(1)];
      for (const window of [first, second]) await ledger.open(window);
      expect(await ledger.due(later(1.9), 10)).toEqual([]);
      expect(await ledger.due(later(2), 10)).toEqual([first]);
      await ledger.close(first.planId, [4, 0]);
      await ledger.close(first.planId, [9, 9]);
      expect((await ledger.due(later(9), 10)).map(({ planId }) => planId)).toEqual([second.planId]);
      expect((await ledger.get(first.planId))?.forecasts.map(({ pulls }) => pulls)).toEqual([4, 0]);
    });

    it('forgets windows that were over before, and keeps none under a fence that does not hold', async () => {
      const lost = new (class extends WriteFence {
        hold(): Promise<void> {
          return Promise.reject(new Error('taken over'));
        }
      })();
      const [first, second, refused] = [aWindow(0), aWindow(1), aWindow(2)];
      for (const window of [first, second]) await ledger.open(window);
      await expect(ledger.open(refused, lost)).rejects.toThrow('taken over');
      expect(await ledger.prune(later(2.5))).toBe(2);
      expect(await ledger.list('eastus', 10)).toEqual([second.planId]);
    });
  });
}
