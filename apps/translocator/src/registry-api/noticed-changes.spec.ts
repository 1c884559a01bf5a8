import { describe, expect, it } from 'vitest';

import { SystemClock } from '#clock';
import type { RegistryEvent } from '#registry';
import { MemoryExaminationStore } from '#registry/testing';
import { createLogger, Metrics } from '#telemetry';

import { WorkSignals } from '../work/work-signals.js';
import { NOTICE_MAX_MS, NoticedChanges, NOTICES_WAITING_MAX } from './noticed-changes.js';

const at = new Date('2026-01-01T00:00:00Z');
const push = (id: string): RegistryEvent => ({ id, action: 'push', repository: 'team/app', tag: id, at });

/** A store that can be away, or silent. */
class TroubledStore extends MemoryExaminationStore {
  trouble: 'none' | 'away' | 'silent' = 'none';
  tries = 0;

  override async intake(events: readonly RegistryEvent[], now: Date): Promise<Awaited<ReturnType<MemoryExaminationStore['intake']>>> {
    this.tries += 1;
    if (this.trouble === 'away') throw new Error('the database is away');
    if (this.trouble === 'silent') await new Promise(() => undefined);
    return super.intake(events, now);
  }
}

function noticing(): { store: TroubledStore; changes: NoticedChanges; log: string[]; wakes: () => number } {
  const store = new TroubledStore();
  const log: string[] = [];
  const signals = new WorkSignals();
  let wakeCount = 0;
  signals.on('examinations', () => (wakeCount += 1));
  const logger = createLogger('info', { write: (line: string) => void log.push(line) });
  return { store, log, wakes: () => wakeCount, changes: new NoticedChanges({ examinations: store, clock: new SystemClock(), signals, metrics: new Metrics(), logger }) };
}

describe('changes that pass through', () => {
  it('are stored when noticing returns, and wake those who examine', async () => {
    const { store, changes, wakes } = noticing();
    await changes.notice([push('a'), push('b')]);
    expect([await store.openCount('team/app'), changes.waitingCount, wakes()]).toEqual([2, 0, 1]);
    await changes.stop();
  });

  it('wait while the database is away, keep nobody waiting, and are stored once it is back', async () => {
    const { store, changes, log } = noticing();
    store.trouble = 'away';
    await changes.notice([push('a')]);
    const startedAt = performance.now();
    await changes.notice([push('b')]);
    expect(performance.now() - startedAt).toBeLessThan(NOTICE_MAX_MS / 2);
    expect([changes.waitingCount, await store.openCount('team/app')]).toEqual([2, 0]);
    store.trouble = 'none';
    await changes.stop();
    expect([changes.waitingCount, await store.openCount('team/app')]).toEqual([0, 2]);
    expect(log.join('\n')).toContain('could not be stored yet');
  });

  it('are waited for no longer than a moment when the database is silent', async () => {
    const { store, changes } = noticing();
    store.trouble = 'silent';
    const startedAt = performance.now();
    await changes.notice([push('a')]);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(NOTICE_MAX_MS - 50);
    expect(changes.waitingCount).toBe(1);
  });

  it('are given up beyond a bound, the oldest first, and that is told', async () => {
    const { store, changes, log } = noticing();
    store.trouble = 'away';
    await changes.notice([push('oldest')]);
    await changes.notice(Array.from({ length: NOTICES_WAITING_MAX }, (_, index) => push(`tag-${index}`)));
    expect(changes.waitingCount).toBe(NOTICES_WAITING_MAX);
    expect(log.join('\n')).toContain('"count":1');
    await changes.stop();
    expect(log.at(-1)).toContain('could not be stored: they will be found');
  });
});
