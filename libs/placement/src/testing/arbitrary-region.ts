import fc from 'fast-check';

import { DAY_MS, MiB } from '#quantities';

import { type HeldReplica, imageKey, type PlacementImage, type RegionFacts } from '../region-facts.js';
import { aForecast, aLayer, anImage, aRegion, unfinished } from './region-scene.js';

const layers = fc.array(fc.oneof(fc.constantFrom(10, 20), fc.nat({ max: 40 })), { minLength: 1, maxLength: 12 }).map((sizes) => sizes.map((size, n) => aLayer(`l${n}`, size)));

/** Merged views are small, and sometimes nothing at all. */
const views = fc.array(fc.nat({ max: 6 }), { minLength: 3, maxLength: 3 }).map((sizes) => sizes.map((size, n) => aLayer(`view ${n}`, size)));

const somePulls = fc.oneof(fc.constantFrom(0, 0, 1, 2, 3, 4), fc.double({ min: 0.01, max: 50, noNaN: true }));

const rarely = fc.nat({ max: 7 }).map((draw) => draw === 0);

/** Any region small enough to reason about: shared layers, empty images, merged views, pins, leases, last replicas, replicas in every state, room for all or for nothing. */
export const arbitraryRegion: fc.Arbitrary<RegionFacts> = fc.tuple(layers, views).chain(([ofImages, viewsOfImages]) => {
  const all = [...ofImages, ...viewsOfImages];
  const some = fc.oneof(fc.subarray(ofImages), fc.subarray(ofImages, { maxLength: Math.min(3, ofImages.length) }));
  const image = fc.record({
    layers: some, view: fc.option(fc.constantFrom(...viewsOfImages), { nil: undefined }), repository: fc.constantFrom('a', 'b', 'c'), hoursOld: fc.nat({ max: 300 }), tagged: fc.boolean(), expanded: fc.nat({ max: 5 }).map((draw) => draw > 0), ownPulls: somePulls, inheritedPulls: somePulls,
  });
  const replica = fc.option(
    fc.record({ state: fc.constantFrom<HeldReplica['state']>('wanted', 'copying', 'ready', 'ready', 'ready', 'ready', 'ready', 'draining'), leased: rarely, mustKeep: rarely, passed: fc.option(fc.nat({ max: 3 }), { nil: undefined }) }),
    { nil: undefined },
  );
  return fc
    .record({
      images: fc.array(image, { maxLength: 12 }),
      held: fc.array(replica, { minLength: all.length, maxLength: all.length }),
      elsewhere: fc.array(fc.boolean(), { minLength: all.length, maxLength: all.length }),
      pins: fc.array(fc.record({ image: fc.nat(), priority: fc.integer({ min: -2, max: 2 }), age: fc.nat({ max: 3 }) }), { maxLength: 4 }),
      capacityMiB: fc.nat({ max: 160 }),
      parameters: fc.record({
        minimumExpectedPulls: fc.constantFrom(0, 1, 3), keepRatio: fc.constantFrom(0, 0.5, 1), heldBytesRatio: fc.constantFrom(0.3, 0.5, 1), switchGainRatio: fc.constantFrom(0, 0.1, 1),
        leastExpectedPulls: fc.constantFrom(0, 0.5, 5), hitImages: fc.constantFrom(0, 0.8), gigabyteWeight: fc.constantFrom(0, 20), firstPullWeight: fc.constantFrom(0, 3),
        smallLayerBytes: fc.constantFrom(0, 12 * MiB), smallLayersRatio: fc.constantFrom(0.1, 1),
        reactiveRatio: fc.constantFrom(0, 0.15, 0.5),
      }),
    })
    .map(({ images, held, elsewhere, pins, capacityMiB, parameters }) => {
      const placed: PlacementImage[] = images.map((of, n) => ({ ...anImage(`${of.repository}:v${n}`, of.layers, of.hoursOld), ...(of.tagged ? {} : { tags: [] }), view: of.view }));
      const replicas = all.flatMap((layer, n): HeldReplica[] => {
        const of = held[n];
        return of === undefined ? [] : [{ layer: layer.digest, sizeBytes: layer.sizeBytes, state: of.state, leased: of.leased && of.state === 'ready', passedAt: of.passed === undefined || of.state === 'wanted' || n >= ofImages.length ? undefined : new Date(of.passed) }];
      });
      return aRegion({
        images: placed.filter((_, n) => images[n]?.expanded === true),
        unfinished: placed.filter((_, n) => images[n]?.expanded === false).map(unfinished),
        referenced: new Set(placed.flatMap((of) => [...of.layers, ...(of.view === undefined ? [] : [of.view])].map((layer) => layer.digest))),
        capacityBytes: capacityMiB * MiB,
        forecasts: new Map(placed.map((of, n) => [imageKey(of), aForecast(images[n]!)])),
        replicas,
        // What is not ready, and does not drain, is no last ready replica.
        mustKeep: new Set(all.filter((_, n) => held[n]?.mustKeep === true && (held[n].state === 'ready' || held[n].state === 'draining')).map((layer) => layer.digest)),
        readyElsewhere: new Set(all.filter((_, n) => elsewhere[n] === true).map((layer) => layer.digest)),
        pins: pins.flatMap((pin, n) => {
          const of = placed[pin.image % Math.max(1, placed.length)];
          return of === undefined ? [] : [{ id: `pin ${n}`, image: of, priority: pin.priority, createdAt: new Date(Date.UTC(2026, 0, 1) + pin.age * DAY_MS) }];
        }),
        parameters: { ...aRegion().parameters, ...parameters },
      });
    });
});
