import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { atOnce } from '#clock';
import { MiB } from '#quantities';

import { chooseBundles } from './choose-bundles.js';
import { chooseByDensity, type Competition } from './choose-by-density.js';
import { bytesOf, include, isWithin, type LayerSet, type LayerTable, tabulate } from './layer-table.js';
import { PricedBundles } from './price-bundles.js';
import { aLayer, anImage } from './testing/region-scene.js';

interface Scene {
  readonly table: LayerTable;
  readonly competition: Competition;
}

function scene(images: readonly (readonly [value: number, layers: readonly ReturnType<typeof aLayer>[]])[], capacityMiB: number): Scene {
  const named = images.map(([value, layers], n) => ({ value, image: anImage(`team/app:v${n}`, layers) }));
  const { table } = atOnce(tabulate(named.map(({ image }) => image), []));
  const valueOf = new Map(named.map(({ value, image }) => [image.digest, value]));
  const values = Float64Array.from(table.images.map((image) => valueOf.get(image.digest) ?? 0));
  return { table, competition: { candidates: [...table.images.keys()], values, base: new Uint8Array(table.layers.length), capacityBytes: capacityMiB * MiB } };
}

/** Any few images over few layers, some of which are held. */
const anyScene = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 7 }),
    images: fc.array(fc.record({ value: fc.double({ min: 0.1, max: 20, noNaN: true }), layers: fc.nat() }), { minLength: 1, maxLength: 8 }),
    capacityMiB: fc.nat({ max: 150 }),
    held: fc.nat(),
    heldBytesRatio: fc.constantFrom(0.3, 1),
  })
  .map(({ sizes, images, capacityMiB, held, heldBytesRatio }) => {
    const layers = sizes.map((size, n) => aLayer(`l${n}`, size));
    const { table, competition } = scene(images.map(({ value, layers: of }) => [value, layers.filter((_, n) => ((of >> n) & 1) === 1)] as const), capacityMiB);
    return { table, competition: { ...competition, heldBytesRatio, held: Uint8Array.from(table.layers, (_, n) => (held >> n) & 1) } };
  });

function worth(images: Iterable<number>, values: Float64Array): number {
  return [...images].reduce((sum, image) => sum + values[image]!, 0);
}

/** What all sets of images come to. */
function* everySet({ table, competition }: Scene): Generator<{ readonly images: number[]; readonly layers: LayerSet }> {
  for (let set = 0; set < 2 ** table.images.length; set += 1) {
    const images = [...table.images.keys()].filter((image) => ((set >> image) & 1) === 1);
    const layers = competition.base.slice();
    for (const image of images) include(table, image, layers);
    yield { images, layers };
  }
}

describe('choosing bundles', () => {
  it('finds what still fits behind thousands that do not', () => {
    const large = Array.from({ length: 3500 }, (_, n) => [100 + n, [aLayer(`large ${n}`, 50)]] as const);
    const { table, competition } = scene([...large, [0.5, [aLayer('small', 4)]], [0.1, [aLayer('smaller', 3)]], [0.05, [aLayer('too much', 5)]]], 58);
    const { images } = atOnce(chooseByDensity(table, competition));
    expect(images.map((image) => competition.values[image])).toEqual([3599, 0.5, 0.1]);
  });

  it('takes all tags on one large base, of which none alone is worth what another image is', () => {
    const base = aLayer('base', 90);
    const tags = [1, 2, 3, 4].map((n) => [5, [base, aLayer(`tag ${n}`, 2)]] as const);
    const { table, competition } = scene([...tags, [6, [aLayer('other', 60)]]], 100);
    const chosen = (choice: { readonly images: readonly number[] }): number => worth(choice.images, competition.values);
    expect(chosen(atOnce(chooseByDensity(table, competition)))).toBe(6);
    expect(chosen(atOnce(chooseBundles(table, competition)))).toBe(20);
  });

  it('stays within the capacity, takes images whole, and is worth no less than the greedy choice', () => {
    fc.assert(fc.property(anyScene, ({ table, competition }) => {
      const choice = atOnce(chooseBundles(table, competition));
      expect(choice.usedBytes).toBe(bytesOf(table, choice.layers));
      expect(choice.usedBytes).toBeLessThanOrEqual(competition.capacityBytes);
      for (const image of choice.images) expect(isWithin(table, image, choice.layers)).toBe(true);
      expect(worth(choice.images, competition.values)).toBeGreaterThanOrEqual(worth(atOnce(chooseByDensity(table, competition)).images, competition.values));
    }), { numRuns: 500 });
  });

  it('finds, for a price, a set that is worth no less beyond it than any other', () => {
    fc.assert(fc.property(anyScene, fc.double({ min: 0.01, max: 5, noNaN: true }), (of, pricePerMiB) => {
      const { table, competition } = of;
      const price = pricePerMiB / MiB;
      const weight = (layers: LayerSet): number => layers.reduce((sum, isIn, layer) => (isIn === 1 ? sum + table.sizes[layer]! * (competition.held[layer] === 1 ? competition.heldBytesRatio : 1) : sum), 0);
      const beyond = ({ images, layers }: { readonly images: readonly number[]; readonly layers: LayerSet }): number => worth(images, competition.values) - price * weight(layers);
      const mask = atOnce(new PricedBundles(table, competition).at(price));
      const images = [...table.images.keys()].filter((image) => mask[image] === 1);
      const layers = competition.base.slice();
      for (const image of images) include(table, image, layers);
      const best = Math.max(...[...everySet(of)].map(beyond));
      expect(beyond({ images, layers })).toBeGreaterThanOrEqual(best - 1e-9 * Math.max(1, best));
    }), { numRuns: 300 });
  });
});
