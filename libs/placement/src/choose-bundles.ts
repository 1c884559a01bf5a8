import { bringsBack } from './break-even.js';
import { type Choice, chooseByDensity, type Competition } from './choose-by-density.js';
import { bytesOf, include, type LayerSet, type LayerTable } from './layer-table.js';
import { PricedBundles } from './price-bundles.js';

/** Prices tried to find the one at which the capacity is used up; each leaves fewer images to decide about. A dozen is what it takes. */
const PRICES_MAX = 40;

/**
 * Chooses whole images for a capacity, so that they are worth as much as may be. Greedily first ({@link chooseByDensity}). Where that leaves anything out, also by price: what is worth the lowest price
 * of a byte at which all that is worth it still fits, so that images are found that are worth their bytes only together, such as all tags on one large base; what room that leaves is filled
 * greedily. The better of both is taken. By price only images are chosen that bring back all of their bytes. Cost: two to five times that of the greedy choice alone.
 */
export function chooseBundles(table: LayerTable, competition: Competition): Choice {
  const greedy = chooseByDensity(table, competition);
  if (greedy.cutOffDensity === undefined) return greedy;
  const base = chooseByPrice(table, competition, greedy.cutOffDensity);
  const priced = chooseByDensity(table, { ...competition, base });
  return worthOf(priced, competition) > worthOf(greedy, competition) ? priced : greedy;
}

function worthOf({ images }: Choice, { values }: Competition): number {
  return images.reduce((sum, image) => sum + values[image]!, 0);
}

/** @returns the base, and the layers of what is worth the lowest price at which that fits. */
function chooseByPrice(table: LayerTable, competition: Competition, firstPrice: number): LayerSet {
  const { rule } = competition;
  // What fits is chosen, what exceeds is not all; who is in the one and not in the other is undecided.
  let fits: LayerSet = competition.base.slice();
  let undecided = competition.candidates.filter((image) => rule === undefined || bringsBack(rule, image, { added: table.imageBytes[image]!, all: table.imageBytes[image]! }));
  let price = firstPrice;
  for (let n = 0; n < PRICES_MAX && undecided.length > 0; n += 1) {
    const chosen = new PricedBundles(table, { ...competition, candidates: undecided, base: fits }).at(price);
    const best = layersOf(table, fits, undecided.filter((_, at) => chosen[at] === 1));
    const isSame = chosen.every((each) => each === chosen[0]);
    // The first price may be beyond all; another that chooses all or none finds nothing in between.
    if (n > 0 && isSame) break;
    const doesFit = bytesOf(table, best) <= competition.capacityBytes;
    undecided = undecided.filter((_, at) => (chosen[at] === 1) !== doesFit);
    if (doesFit) fits = best;
    price = meanDensity(table, { ...competition, base: fits }, undecided);
  }
  return fits;
}

/** The worth of some images for each byte that all of them add: the price at which they are worth no more and no less. */
function meanDensity(table: LayerTable, { values, held, heldBytesRatio = 1, base }: Competition, images: readonly number[]): number {
  const layers = layersOf(table, base, images);
  let bytes = 0;
  for (let layer = 0; layer < layers.length; layer += 1) if (layers[layer] !== base[layer]) bytes += table.sizes[layer]! * (held !== undefined && held[layer] === 1 ? heldBytesRatio : 1);
  return images.reduce((sum, image) => sum + values[image]!, 0) / bytes;
}

function layersOf(table: LayerTable, base: LayerSet, images: Iterable<number>): LayerSet {
  const layers = base.slice();
  for (const image of images) include(table, image, layers);
  return layers;
}
