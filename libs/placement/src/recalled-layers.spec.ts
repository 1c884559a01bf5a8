import { describe, expect, it } from 'vitest';

import { planRegion } from './plan-region.js';
import { isEmptyPlan } from './region-plan.js';
import { aLayer, anImage, applyOrders, aRegion, expecting, replicasOf } from './testing/region-scene.js';

describe('a plan that recalls what drains', () => {
  it('gives no orders when made again, though the recalled layer is the last ready one from then on and makes another image denser', () => {
    const [shared, top, lower, upper] = [aLayer('shared', 33), aLayer('top', 10), aLayer('lower', 20), aLayer('upper', 10)];
    const images = [anImage('a:tall', [shared, top]), anImage('b:other', [lower, upper]), anImage('c:short', [shared])];
    const facts = aRegion({
      images,
      capacityBytes: shared.sizeBytes + lower.sizeBytes + upper.sizeBytes,
      forecasts: expecting({ 'a:tall': 0.101, 'b:other': 0.1, 'c:short': 0.1 }),
      replicas: replicasOf([shared], 'draining'),
      mustKeep: new Set([shared.digest]),
      parameters: { ...aRegion().parameters, minimumExpectedPulls: 0, keepRatio: 0, switchGainRatio: 0 },
    });
    const plan = planRegion(facts);
    expect(plan.usedBytes).toBeGreaterThanOrEqual(shared.sizeBytes);
    const again = planRegion(applyOrders(facts, plan));
    expect({ isEmpty: isEmptyPlan(again), wants: again.wants, drains: again.drains }).toEqual({ isEmpty: true, wants: [], drains: [] });
  });
});
