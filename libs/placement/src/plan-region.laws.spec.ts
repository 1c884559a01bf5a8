import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Digest } from '#oci';

import { planRegion, planRegionInSteps } from './plan-region.js';
import { imageKey, type PlacementImage, type RegionFacts, type UnfinishedImage } from './region-facts.js';
import { isEmptyPlan, type RegionPlan } from './region-plan.js';
import { arbitraryRegion } from './testing/arbitrary-region.js';
import { applyOrders, completeOrders } from './testing/region-scene.js';

const RUNS = { numRuns: 1500 };

/** The body of a test that `holds` for any region and its plan. */
function forAnyRegion(holds: (facts: RegionFacts, plan: RegionPlan) => void, runs = RUNS): () => void {
  return () => fc.assert(fc.property(arbitraryRegion, (facts) => holds(facts, planRegion(facts))), runs);
}

function sizes(facts: RegionFacts): Map<Digest, number> {
  const ofImages = facts.images.flatMap(({ layers, view }) => [...layers, ...(view === undefined ? [] : [view])].map((layer) => [layer.digest, layer.sizeBytes] as const));
  return new Map([...ofImages, ...facts.replicas.map((replica) => [replica.layer, replica.sizeBytes] as const)]);
}

/** Takes steps of two calculations by turns. */
function byTurns<Result>(first: Generator<unknown, Result, void>, then: Generator<unknown, Result, void>): Result[] {
  const results: Result[] = [];
  for (const open = [first, then]; open.length > 0;) {
    const [next] = open.splice(0, 1);
    const step = next!.next();
    if (step.done === true) results.push(step.value);
    else open.push(next!);
  }
  return results;
}

describe('the laws of a plan', () => {
  it('is the same where others of the same images, with the same replicas and without, are made between its steps', forAnyRegion((facts, plan) => {
    const elsewhere = { ...facts, region: 'elsewhere', replicas: [] };
    const plans = byTurns(planRegionInSteps({ ...facts }), planRegionInSteps(elsewhere));
    expect(plans.toSorted((a) => (a.region === 'elsewhere' ? 1 : -1))).toEqual([plan, planRegion(elsewhere)]);
    const fresh = facts.images.map((image) => ({ ...image }));
    expect(byTurns(planRegionInSteps({ ...facts, images: fresh }), planRegionInSteps({ ...facts, images: fresh }))).toEqual([plan, plan]);
  }, { numRuns: 300 }));

  it('never removes what is leased, last, copying, or of a pin that is met', forAnyRegion((facts, plan) => {
    const gone = new Set(plan.drains.map((drain) => drain.layer));
    for (const replica of facts.replicas) {
      if (!gone.has(replica.layer)) continue;
      expect(replica).toMatchObject({ state: 'ready', leased: false });
      expect(facts.mustKeep.has(replica.layer)).toBe(false);
    }
    const pinned = new Set(plan.decisions.filter((decision) => decision.verdict === 'pinned').map(imageKey));
    for (const image of facts.images) if (pinned.has(imageKey(image))) for (const layer of image.layers) expect(gone.has(layer.digest)).toBe(false);
    const unfinishedOf = new Map(facts.unfinished.map((image) => [imageKey(image), image]));
    for (const pin of facts.pins) {
      const { repository } = unfinishedOf.get(imageKey(pin.image)) ?? {};
      const ofRepository = facts.images.filter((image) => image.repository === repository).flatMap((image) => image.layers.map((layer) => layer.digest));
      const drained = [...ofRepository, ...(unfinishedOf.get(imageKey(pin.image))?.layers ?? [])].filter((layer) => gone.has(layer));
      // Only for want of room, which pins of a higher right or what cannot go have.
      for (const layer of drained) expect(plan.usedBytes + (sizes(facts).get(layer) ?? 0)).toBeGreaterThan(facts.capacityBytes);
    }
    for (const withdrawal of plan.withdrawals) expect(facts.replicas.find((replica) => replica.layer === withdrawal.layer)?.state).toBe('wanted');
  }));

  it('spends no more than the capacity, beyond what cannot go', forAnyRegion((facts, plan) => {
    expect(plan.usedBytes).toBeLessThanOrEqual(Math.max(facts.capacityBytes, plan.forcedBytes));
    const after = applyOrders(facts, plan).replicas.filter((replica) => replica.state !== 'draining');
    expect(after.reduce((sum, replica) => sum + replica.sizeBytes, 0)).toBe(plan.usedBytes);
  }));

  it('planning again once its orders are written down gives no orders', forAnyRegion((facts, plan) => {
    const written = applyOrders(facts, plan);
    expect(isEmptyPlan(planRegion(written))).toBe(true);
    // What could not go only because it was being copied, or until a pinned image was copied, may go when that is done.
    const done = completeOrders(written);
    const after = planRegion(done);
    const ready = new Set(facts.replicas.filter((replica) => replica.state === 'ready').map((replica) => replica.layer));
    const isThere = (image: PlacementImage): boolean => image.layers.every((layer) => ready.has(layer.digest));
    const isPinCopied = facts.pins.some((pin) => facts.images.some((image) => imageKey(image) === imageKey(pin.image) && !isThere(image)));
    const isHeldUp = isPinCopied || facts.replicas.some((replica) => replica.state === 'copying');
    // A layer that came is kept for an unfinished image from then on, for a pinned one every layer of its repository, and paid: with it as given, a better choice may be found; then that is at rest.
    const mayStandIn = ({ repository }: UnfinishedImage): Digest[] => [...facts.images, ...facts.unfinished].filter((image) => image.repository === repository).flatMap((image): Digest[] => image.layers.map((layer) => (typeof layer === 'string' ? layer : layer.digest)));
    const isPinned = (image: UnfinishedImage): boolean => facts.pins.some((pin) => imageKey(pin.image) === imageKey(image));
    const isKeptSince = facts.unfinished.some((image) => (isPinned(image) ? mayStandIn(image) : image.layers).some((layer) => !ready.has(layer) && done.replicas.some((replica) => replica.layer === layer)));
    if (isKeptSince) expect(isEmptyPlan(planRegion(applyOrders(done, after)))).toBe(true);
    expect(isEmptyPlan(after) || isHeldUp || isKeptSince).toBe(true);
  }));

  it('planning again once its orders are written down repeats only orders for what is being removed, or turns once to images that need none of it, and gives none when that is gone', () => {
    fc.assert(
      fc.property(arbitraryRegion, fc.nat(), (facts, seed) => {
        const removing = new Set(facts.replicas.filter((replica, n) => replica.state === 'draining' && ((seed >> (n % 8)) & 1) === 1).map((replica) => replica.layer));
        const plan = planRegion(facts);
        const written = applyOrders(facts, plan, removing);
        const again = planRegion(written);
        const ordersBesides = ({ wants, drains, withdrawals }: RegionPlan): Digest[] => [...wants.filter(({ layer }) => !removing.has(layer)), ...drains, ...withdrawals].map(({ layer }) => layer);
        // An image that lacks what is being removed is not there yet: another one may be worth more until it is, and take the room of what was chosen beside the first.
        const doesTurn = plan.wants.some((want) => removing.has(want.layer));
        expect(ordersBesides(doesTurn ? planRegion(applyOrders(written, again, removing)) : again)).toEqual([]);
        const gone = { ...written, replicas: written.replicas.filter((replica) => !removing.has(replica.layer)) };
        expect(isEmptyPlan(planRegion(applyOrders(gone, planRegion(gone))))).toBe(true);
      }),
      RUNS,
    );
  });

  it('the order of its input does not matter', () => {
    fc.assert(
      fc.property(arbitraryRegion, fc.nat(), (facts, seed) => {
        const turn = <T>(list: readonly T[]): T[] => (list.length === 0 ? [] : [...list.slice(seed % list.length), ...list.slice(0, seed % list.length)].toReversed());
        const turned: RegionFacts = {
          ...facts,
          images: turn(facts.images).map((image) => ({ ...image, layers: turn(image.layers) })),
          unfinished: turn(facts.unfinished).map((image) => ({ ...image, layers: turn(image.layers) })),
          pins: turn(facts.pins),
          replicas: turn(facts.replicas),
          referenced: new Set(turn([...facts.referenced])),
          mustKeep: new Set(turn([...facts.mustKeep])),
          forecasts: new Map(turn([...facts.forecasts])),
        };
        expect(planRegion(turned)).toEqual(planRegion(facts));
      }),
      RUNS,
    );
  });

  it('a pin that is unmet would be unmet without any lower pin and without any demand', forAnyRegion((facts, plan) => {
    for (const unmet of plan.decisions.filter((decision) => decision.verdict === 'unmet')) {
      const own = facts.pins.find((pin) => pin.id === unmet.pinId);
      const alone = planRegion({
        ...facts,
        pins: facts.pins.filter((pin) => pin.priority > (own?.priority ?? 0) || pin === own || (pin.priority === own?.priority && pin.createdAt <= own.createdAt)),
        forecasts: new Map(),
      });
      expect(alone.decisions.find((decision) => imageKey(decision) === imageKey(unmet))?.verdict).toBe('unmet');
      expect(unmet.missingBytes).toBeGreaterThan(0);
    }
  }));

  it('decides about images as if there were no merged views, where none is held up', forAnyRegion((facts, plan) => {
    const ofViews = new Set(facts.images.flatMap(({ view }) => (view === undefined ? [] : [view.digest])));
    const free = facts.replicas.filter((replica) => !ofViews.has(replica.layer));
    if (facts.replicas.some((replica) => ofViews.has(replica.layer) && (replica.state === 'copying' || replica.leased || facts.mustKeep.has(replica.layer)))) return;
    const without = planRegion({ ...facts, images: facts.images.map((image) => ({ ...image, view: undefined })), replicas: free });
    expect(plan.decisions).toEqual(without.decisions);
    expect(plan.wants.filter((want) => !ofViews.has(want.layer))).toEqual(without.wants);
    expect(plan.drains.filter((drain) => !ofViews.has(drain.layer))).toEqual(without.drains);
  }));

  it('has a merged view only where its image is whole, and wherever there is room for it then', forAnyRegion((facts, plan) => {
    if (facts.home) return;
    const there = new Set(applyOrders(facts, plan).replicas.filter((replica) => replica.state !== 'draining').map((replica) => replica.layer));
    const whole = facts.images.filter((image) => image.layers.every((layer) => there.has(layer.digest)));
    for (const { view } of whole) {
      if (view === undefined || there.has(view.digest)) continue;
      // What the reactive window leaves free is for what passes.
      expect(plan.usedBytes + (sizes(facts).get(view.digest) ?? 0)).toBeGreaterThan(facts.capacityBytes * (1 - facts.parameters.reactiveRatio));
    }
    for (const want of plan.wants) {
      const images = facts.images.filter((image) => image.view?.digest === want.layer);
      if (images.length > 0) expect(images.some((image) => whole.includes(image))).toBe(true);
    }
  }));

  it('takes images whole: whatever is pinned, placed or kept has all of its layers there or wanted', forAnyRegion((facts, plan) => {
    const there = new Set(applyOrders(facts, plan).replicas.filter((replica) => replica.state !== 'draining').map((replica) => replica.layer));
    for (const decision of plan.decisions) {
      const image = facts.images.find((each) => imageKey(each) === imageKey(decision));
      const isWhole = image?.layers.every((layer) => there.has(layer.digest)) ?? false;
      expect(isWhole).toBe(decision.rank !== undefined);
    }
  }));

  it('decides about every image once, with numbers that add up', forAnyRegion((facts, plan) => {
    expect(plan.decisions.map(imageKey).toSorted()).toEqual(facts.images.map(imageKey).toSorted());
    const chosen = plan.decisions.filter((decision) => decision.rank !== undefined);
    expect(chosen.map((decision) => decision.rank)).toEqual(chosen.map((_, n) => n + 1));
    // Pins come first, then small layers and shared parts, which are for no image in particular, then the others.
    const pinned = chosen.filter((decision) => decision.reason === 'PIN');
    let usedBytes = plan.forcedBytes;
    for (const turns of [pinned, chosen.slice(pinned.length)]) {
      for (const decision of turns) {
        usedBytes += decision.marginalBytes;
        expect(decision.usedBytesAfter).toBe(usedBytes);
      }
      if (turns === pinned) usedBytes += plan.smallLayerBytes + plan.partBytes;
    }
    // What is over is in merged views that follow their images; one that cannot go is among what is forced.
    const ofViews = new Set(facts.images.flatMap(({ view }) => (view === undefined ? [] : [view.digest])));
    const forced = new Set(facts.replicas.filter(({ layer, state, leased }) => state === 'copying' || (state === 'ready' && (leased || facts.mustKeep.has(layer)))).map(({ layer }) => layer));
    const views = applyOrders(facts, plan).replicas.filter(({ layer, state }) => ofViews.has(layer) && !forced.has(layer) && state !== 'draining');
    expect(plan.usedBytes).toBe(usedBytes + plan.partialBytes + views.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    for (const refused of plan.decisions.filter((decision) => decision.reason === 'OVER_CAPACITY')) expect(refused.missingBytes).toBeGreaterThan(0);
    for (const refused of plan.decisions.filter((decision) => decision.reason === 'DEMAND_TOO_SMALL')) expect(refused.missingPulls).toBeGreaterThan(0);
  }));

  it('wants only what is not there, each layer once, and the layers of an image no later than the image', forAnyRegion((facts, plan) => {
    expect(new Set(plan.wants.map((want) => want.layer)).size).toBe(plan.wants.length);
    const known = sizes(facts);
    for (const want of plan.wants) {
      const state = facts.replicas.find((replica) => replica.layer === want.layer)?.state;
      expect(state === undefined || state === 'draining').toBe(true);
      expect(want.sizeBytes).toBe(known.get(want.layer));
    }
    expect(plan.wants.map((want) => want.priority)).toEqual(plan.wants.map((want) => want.priority).toSorted((a, b) => b - a));
  }));

  it('at home nothing that is referenced goes, and what images lack is wanted as far as it can be had and fits', forAnyRegion((facts) => {
    const plan = planRegion({ ...facts, home: true });
    const stateOf = new Map(facts.replicas.map((replica) => [replica.layer, replica.state]));
    const isLacking = (layer: Digest): boolean => (stateOf.get(layer) ?? 'draining') === 'draining';
    const lacking = new Set(facts.images.flatMap((image) => image.layers.map((layer) => layer.digest)).filter(isLacking));
    const lackingViews = new Set(facts.images.flatMap(({ view }) => (view === undefined ? [] : [view.digest])).filter(isLacking));
    const wanted = new Set(plan.wants.map((want) => want.layer));
    for (const layer of wanted) expect([lacking.has(layer) || lackingViews.has(layer), facts.readyElsewhere.has(layer) || stateOf.get(layer) === 'draining']).toEqual([true, true]);
    if (wanted.size > 0) expect(plan.usedBytes).toBeLessThanOrEqual(facts.capacityBytes);
    for (const layer of lacking) {
      if (facts.readyElsewhere.has(layer) && !wanted.has(layer)) expect(plan.usedBytes + (sizes(facts).get(layer) ?? 0)).toBeGreaterThan(facts.capacityBytes);
    }
    for (const drain of plan.drains) expect(facts.referenced.has(drain.layer)).toBe(false);
    expect(isEmptyPlan(planRegion(applyOrders({ ...facts, home: true }, plan)))).toBe(true);
  }));
});
