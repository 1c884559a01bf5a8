import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { atOnce } from '#clock';
import { MiB } from '#quantities';

import { type LayerTable, listed, tabulate } from './layer-table.js';
import { type SharedParts, sharedParts } from './shared-parts.js';
import { aLayer, anImage, replicasOf } from './testing/region-scene.js';

/** What parts there are, as the names of their layers, and the tags of their images. */
function told(table: LayerTable, { bundles, imagesOf }: SharedParts, names: ReadonlyMap<string, string>): [layers: string[], images: string[]][] {
  return imagesOf.map((images, n) => [
    [...listed(bundles.layersOf, table.images.length + n)].map((layer) => names.get(table.layers[layer]!)!).toSorted(),
    images.map((image) => table.images[image]!.tags[0]!).toSorted(),
  ]);
}

const [base, more, app, own, tiny] = [aLayer('base', 10), aLayer('more', 10), aLayer('app', 10), aLayer('own', 10), aLayer('tiny', 0.01)];
const names = new Map<string, string>([[base.digest, 'base'], [more.digest, 'more'], [app.digest, 'app'], [own.digest, 'own'], [tiny.digest, 'tiny']]);

describe('the parts that images share', () => {
  it('are all layers that the very same images have; what one alone has is none, nor what is next to nothing', () => {
    const { table } = atOnce(tabulate([anImage('a:v1', [base, more, app, tiny]), anImage('a:v2', [base, more, app]), anImage('b:v3', [base, more, own]), anImage('b:v4', [tiny])], []));
    const parts = told(table, atOnce(sharedParts(table)), names);
    expect(parts).toHaveLength(2);
    expect(parts).toEqual(expect.arrayContaining([[['app'], ['v1', 'v2']], [['base', 'more'], ['v1', 'v2', 'v3']]]));
  });

  it('hold no merged view, and are not shared by an image for its view alone', () => {
    const { table } = atOnce(tabulate([{ ...anImage('a:v1', [base]), view: own }, { ...anImage('a:v2', [base]), view: own }, { ...anImage('a:v3', [app]), view: base }], []));
    expect(told(table, atOnce(sharedParts(table)), names)).toEqual([[['base'], ['v1', 'v2']]]);
  });

  it('stand behind the images, which keep their numbers; what only replicas have is of none', () => {
    const { table } = atOnce(tabulate([anImage('a:v1', [base, app]), anImage('a:v2', [base, own])], replicasOf([more])));
    const { bundles, partOf, partBytes } = atOnce(sharedParts(table));
    expect([...bundles.imageBytes]).toEqual([20 * MiB, 20 * MiB, 10 * MiB]);
    const layer = table.layerNumber.get(base.digest)!;
    expect([[...listed(bundles.imagesOf, layer)], [...listed(bundles.layersOf, 2)], [...bundles.viewOf]]).toEqual([[0, 1, 2], [layer], [-1, -1, -1]]);
    expect([[...partOf].filter((part) => part >= 0), [...partBytes]]).toEqual([[2], [10 * MiB, 10 * MiB]]);
    expect(listed(bundles.imagesOf, table.layerNumber.get(more.digest)!)).toHaveLength(0);
  });

  it('are found once for the same images, whatever replicas there are besides, and anew where a layer is larger than the images tell', () => {
    const images = [anImage('a:v1', [base, app]), anImage('a:v2', [base, own])];
    const [alone, beside, larger] = [[], replicasOf([more, tiny]), replicasOf([{ ...base, sizeBytes: 11 * MiB }])].map((replicas) => atOnce(tabulate(images, replicas)).table);
    const [first, second, third, again] = [alone!, beside!, larger!, beside!].map((table) => atOnce(sharedParts(table)));
    expect(second!.imagesOf).toBe(first!.imagesOf);
    expect([second!.bundles.layers, second!.bundles.sizes, second!.bundles.imagesOf.starts.length]).toEqual([beside!.layers, beside!.sizes, beside!.layers.length + 1]);
    expect([first, second, third, again].map((parts) => parts!.bundles.imageBytes.at(-1))).toEqual([10 * MiB, 10 * MiB, 11 * MiB, 10 * MiB]);
  });

  it('take every layer of several images once, with exactly the images that have it', () => {
    fc.assert(fc.property(fc.array(fc.subarray(Array.from({ length: 7 }, (_, n) => aLayer(`l${n}`, 1 + n)))), (of) => {
      const { table } = atOnce(tabulate(of.map((some, n) => anImage(`team/app:v${n}`, some)), []));
      const { bundles, imagesOf, partOf } = atOnce(sharedParts(table));
      for (let layer = 0; layer < table.layers.length; layer += 1) {
        const having = [...listed(table.imagesOf, layer)];
        const part = partOf[layer]!;
        expect(part >= 0).toBe(having.length > 1);
        if (part >= 0) expect(imagesOf[part - table.images.length]).toEqual(having);
        expect([...listed(bundles.imagesOf, layer)]).toEqual(part >= 0 ? [...having, part] : having);
      }
      const kinds = new Set([...partOf.keys()].filter((layer) => partOf[layer]! >= 0).map((layer) => listed(table.imagesOf, layer).join()));
      expect(imagesOf).toHaveLength(kinds.size);
    }), { numRuns: 500 });
  });
});
