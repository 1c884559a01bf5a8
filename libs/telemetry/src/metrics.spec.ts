import { describe, expect, it } from 'vitest';

import { Metrics } from './metrics.js';

/** Labels whose values are few by nature. */
const FEW_VALUED = new Set(['kind', 'reason', 'outcome', 'loop', 'from', 'to', 'trigger', 'region', 'state', 'le', 'quantile', 'type', 'space', 'version', 'major', 'minor', 'patch']);

describe('the metrics', () => {
  it('have names with base units, counters their _total, and a help text each', async () => {
    const metrics = new Metrics();
    const own = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('translocator_'));
    expect(own.length).toBeGreaterThan(15);
    for (const { name, type, help } of own) {
      expect([name, help]).not.toEqual([name, '']);
      expect(name).not.toMatch(/_(?:ms|milliseconds|minutes|kb|mb|mib|gb|percent)(?:_|$)/i);
      expect([name, String(type) === 'counter']).toEqual([name, name.endsWith('_total')]);
      if (String(type) === 'histogram') expect(name).toMatch(/_(?:seconds|bytes)$/);
    }
  });

  it('have labels of few values only: never a digest, a tag or a repository', async () => {
    const metrics = new Metrics();
    metrics.lookupLayers.inc({ kind: 'blob', reason: 'REPLICA_COPYING' });
    metrics.lookupSeconds.observe(0.002);
    metrics.copiedBytes.inc({ from: 'westeurope', to: 'eastus' }, 4096);
    metrics.replicas.set({ region: 'eastus', state: 'ready' }, 2);
    const text = await metrics.text();
    expect(text).toContain('translocator_copied_bytes_total{from="westeurope",to="eastus"} 4096');
    expect(text).toContain('translocator_lookup_duration_seconds_bucket{le="0.0025"} 1');
    expect(text).not.toContain('sha256');
    const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map(([, label = '']) => label));
    expect([...labels].filter((label) => !FEW_VALUED.has(label))).toEqual([]);
  });

  it('are refreshed before they are read; what cannot be refreshed shows its last value and keeps the others from nobody', async () => {
    const metrics = new Metrics();
    let layers = 0;
    metrics.beforeScrape(() => Promise.reject(new Error('the database is away')));
    metrics.beforeScrape(async () => {
      layers += 1;
      metrics.layers.set({ state: 'expanded' }, layers);
    });
    expect(await metrics.text()).toContain('translocator_layers{state="expanded"} 1');
    expect(await metrics.text()).toContain('translocator_layers{state="expanded"} 2');
  });

  it('of two services in one process do not meet', async () => {
    const [one, other] = [new Metrics(), new Metrics()];
    one.plans.inc({ trigger: 'push' });
    expect(await other.text()).not.toContain('translocator_plans_total{');
  });
});
