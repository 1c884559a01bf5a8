import { describe, expect, it } from 'vitest';

import { after } from '#clock';

import {
  FAILED_PROBES_MAX, GOOD_PROBES_MIN, HealthyMountSources, REPORTED_DOWN_MS, REPORTERS_MAX, REPORTERS_MIN, REPORTS_COUNT_MS, REPORTS_PER_REPORTER_MAX, ShareHealth,
} from './share-health.js';
import { digestNamed, NamedMountSources } from './testing/index.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const health = (): ShareHealth => new ShareHealth(['east', 'west']);
const report = (judge: ShareHealth, reporters: number, now = NOW): void => {
  for (let reporter = 0; reporter < reporters; reporter += 1) judge.reported('east', `10.0.0.${reporter}`, now);
};

describe('the health of shares', () => {
  it('takes several failed probes in a row to be down, and several answered ones to be up', () => {
    const judge = health();
    const probes = [...Array<boolean>(FAILED_PROBES_MAX - 1).fill(false), true, ...Array<boolean>(FAILED_PROBES_MAX).fill(false)];
    expect(probes.map((answered) => judge.probed('east', answered)).filter((change) => change !== undefined)).toEqual(['down']);
    expect([judge.isDown('east', NOW), judge.isDown('west', NOW)]).toEqual([true, false]);
    const recovery = [...Array<boolean>(GOOD_PROBES_MIN - 1).fill(true), false, ...Array<boolean>(GOOD_PROBES_MIN).fill(true)];
    expect(recovery.map((answered) => judge.probed('east', answered)).filter((change) => change !== undefined)).toEqual(['up']);
    expect(judge.isDown('east', NOW)).toBe(false);
    expect(judge.probed('atlantis', false)).toBeUndefined();
  });

  it('does not let one reporter take a share out, however often it reports', () => {
    const judge = health();
    const outcomes = Array.from({ length: REPORTS_PER_REPORTER_MAX + 1 }, () => judge.reported('east', '10.0.0.1', NOW));
    expect([outcomes.at(-2), outcomes.at(-1)]).toEqual(['counted', 'too-many']);
    expect(judge.isDown('east', NOW)).toBe(false);
  });

  it('takes a share out that several report, and gives it again after a while by itself', () => {
    const judge = health();
    report(judge, REPORTERS_MIN - 1);
    expect(judge.isDown('east', NOW)).toBe(false);
    report(judge, REPORTERS_MIN);
    expect([judge.isDown('east', NOW), judge.isDown('west', NOW)]).toEqual([true, false]);
    expect(judge.isDown('east', after(NOW, REPORTED_DOWN_MS - 1))).toBe(true);
    expect(judge.isDown('east', after(NOW, REPORTED_DOWN_MS))).toBe(false);
  });

  it('does not add reports up that are far apart', () => {
    const judge = health();
    for (let reporter = 0; reporter < 10; reporter += 1) judge.reported('east', `10.0.0.${reporter}`, after(NOW, (reporter * REPORTS_COUNT_MS) / (REPORTERS_MIN - 1)));
    expect(judge.isDown('east', after(NOW, (9 * REPORTS_COUNT_MS) / (REPORTERS_MIN - 1)))).toBe(false);
  });

  it('lets reports end when the clock is set back', () => {
    const judge = health();
    report(judge, REPORTERS_MIN);
    expect(judge.isDown('east', after(NOW, -600_000))).toBe(false);
    expect(judge.reported('east', '10.0.0.9', after(NOW, -600_000))).toBe('counted');
  });

  it('remembers no more reporters than its bound, and takes new ones in the next period', () => {
    const judge = health();
    for (let reporter = 0; reporter < REPORTERS_MAX; reporter += 1) judge.reported('atlantis', `reporter ${reporter}`, NOW);
    expect(judge.reported('east', 'one more', NOW)).toBe('too-many');
    expect(judge.reported('east', 'reporter 1', NOW)).toBe('counted');
    expect(judge.reported('atlantis', 'one more', after(NOW, REPORTS_COUNT_MS))).toBe('unknown-share');
  });

  it('stands otherwise whenever a share has gone down or come up, also by time alone', () => {
    const judge = health();
    const seen = new Set([judge.standing(NOW)]);
    const changes = (now = NOW): boolean => seen.size !== seen.add(judge.standing(now)).size;
    report(judge, REPORTERS_MIN - 1);
    judge.probed('west', false);
    expect(changes()).toBe(false);
    report(judge, REPORTERS_MIN);
    expect(changes()).toBe(true);
    expect(changes(after(NOW, REPORTED_DOWN_MS - 1))).toBe(false);
    expect(changes(after(NOW, REPORTED_DOWN_MS))).toBe(true);
    expect(changes(after(NOW, REPORTED_DOWN_MS - 1))).toBe(false);
    for (let probes = 0; probes < FAILED_PROBES_MAX; probes += 1) judge.probed('west', false);
    expect(changes()).toBe(true);
    for (let probes = 0; probes < GOOD_PROBES_MIN; probes += 1) judge.probed('west', true);
    expect(changes()).toBe(true);
  });

  it('takes the sources of a share that is down out of the answers, and brings them back', () => {
    const judge = health();
    const sources = new HealthyMountSources(new NamedMountSources(), judge);
    const file = { digest: digestNamed('base'), writerVersion: 2 };
    report(judge, REPORTERS_MIN);
    expect([sources.of(file, 'east', NOW), sources.of(file, 'west', NOW).length, sources.of(file, 'east', after(NOW, REPORTED_DOWN_MS)).length]).toEqual([[], 1, 1]);
  });

  it('gives nothing of a share that operators took out of use, says why, and gives it again afterwards', () => {
    const judge = health();
    const sources = new HealthyMountSources(new NamedMountSources(), judge);
    const file = { digest: digestNamed('base'), writerVersion: 2 };
    const standing = judge.standing(NOW);
    judge.withhold(['east']);
    expect(judge.standing(NOW)).not.toBe(standing);
    expect([sources.of(file, 'east', NOW), sources.of(file, 'west', NOW).length, judge.isDown('east', NOW)]).toEqual(['REPLICA_DRAINING', 1, false]);
    judge.withhold([]);
    expect(sources.of(file, 'east', NOW)).toHaveLength(1);
  });
});
