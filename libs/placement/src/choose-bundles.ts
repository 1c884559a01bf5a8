import { bringsBackAll } from './break-even.js';
import { type Choice, chooseByDensity, type Competition } from './choose-by-density.js';
import { type BundleTable, bytesOf, isWithin, type LayerSet, withImages } from './layer-table.js';
import { PricedBundles } from './price-bundles.js';

/** Prices tried to find the one at which the capacity is used up; each leaves fewer images to decide about. A dozen is what it takes. */
const PRICES_MAX = 40;

/** How far below the bound, as a share of it, a choice may stay before anything else is tried. */
const BOUND_GAP_RATIO_MAX = 0.001;
/** Large images that are tried then, and candidates beyond which no single one is worth that. */
const FORCED_MAX = 12;
const FORCED_CANDIDATES_MAX = 5000;

/**
 * Chooses whole images for a capacity, in steps, so that they are worth as much as may be. Greedily first ({@link chooseByDensity}). Where that leaves anything out, also by price: what is worth the lowest price
 * of a byte at which all that is worth it still fits, so that images are found that are worth their bytes only together, such as all tags on one large base; what room that leaves is filled
 * greedily. The better of both is taken; where that stays below what the last price promises, because something large does not fit, large images are tried, too. By price only images are chosen that bring back all of their bytes. Cost: two to five times that of the greedy choice alone.
 */
export function* chooseBundles(table: BundleTable, competition: Competition): Generator<undefined, Choice> {
  const greedy = yield* chooseByDensity(table, competition);
  if (greedy.cutOffDensity === undefined) return greedy;
  const { sets, bound } = yield* chooseByPrice(table, competition, greedy.cutOffDensity);
  const priced = yield* chooseByDensity(table, { ...competition, base: sets.at(-1)! });
  const better = worthOf(priced, competition) > worthOf(greedy, competition) ? priced : greedy;
  const isGood = worthOf(better, competition) >= bound * (1 - BOUND_GAP_RATIO_MAX);
  return isGood || competition.candidates.length > FORCED_CANDIDATES_MAX ? better : yield* withLargeImages(table, competition, { choice: better, sets });
}

/** Tries each of the most valued images that were left out for being large: with what is worth a price at which it fits beside, and the room filled greedily. */
function* withLargeImages(table: BundleTable, competition: Competition, { choice, sets }: { readonly choice: Choice; readonly sets: readonly LayerSet[] }): Generator<undefined, Choice> {
  const { values, capacityBytes } = competition;
  const leftOut = competition.candidates.filter((image) => !isWithin(table, image, choice.layers)).toSorted((a, b) => values[b]! - values[a]! || a - b);
  let best = choice;
  for (const image of leftOut.slice(0, FORCED_MAX)) {
    const base = sets.map((set) => withImages(table, set, [image])).findLast((set) => bytesOf(table, set) <= capacityBytes);
    if (base === undefined) continue;
    const next = yield* chooseByDensity(table, { ...competition, base });
    if (worthOf(next, competition) > worthOf(best, competition)) best = next;
  }
  return best;
}

function worthOf({ images }: Choice, { values }: Competition): number {
  return images.reduce((sum, image) => sum + values[image]!, 0);
}

/** What is worth its price, for falling prices. */
interface PricedSets {
  /** The base, and what was found to fit, each set within the next; the last is that of the lowest price at which all that is worth it fits. */
  readonly sets: readonly LayerSet[];
  /** No choice is worth more, if a byte that is held counts as any other: the last set, and its price for every byte of the room that is left. */
  readonly bound: number;
}

function* chooseByPrice(table: BundleTable, competition: Competition, firstPrice: number): Generator<undefined, PricedSets> {
  const { rule, values } = competition;
  // What fits is chosen, what exceeds is not all; who is in the one and not in the other is undecided.
  const sets: LayerSet[] = [competition.base];
  let worth = 0;
  let undecided = competition.candidates.filter((image) => rule === undefined || bringsBackAll(rule, image));
  let price = firstPrice;
  for (let n = 0; n < PRICES_MAX && undecided.length > 0; n += 1) {
    const fits = sets.at(-1)!;
    const priced = new PricedBundles(table, { ...competition, candidates: undecided, base: fits });
    yield;
    const chosen = yield* priced.at(price);
    const best = withImages(table, fits, undecided.filter((_, at) => chosen[at] === 1));
    // The first price may be beyond all; another that chooses all or none finds nothing in between.
    if (n > 0 && chosen.every((each) => each === chosen[0])) break;
    const doesFit = bytesOf(table, best) <= competition.capacityBytes;
    if (doesFit) {
      sets.push(best);
      worth += undecided.reduce((sum, image, at) => (chosen[at] === 1 ? sum + values[image]! : sum), 0);
    }
    undecided = undecided.filter((_, at) => (chosen[at] === 1) !== doesFit);
    yield;
    price = meanDensity(table, { ...competition, base: sets.at(-1)! }, undecided);
    yield;
  }
  return { sets, bound: worth + price * Math.max(0, competition.capacityBytes - bytesOf(table, sets.at(-1)!)) };
}

/** The worth of some images for each byte that all of them add: the price at which they are worth no more and no less. */
function meanDensity(table: BundleTable, { values, held, heldBytesRatio = 1, base }: Competition, images: readonly number[]): number {
  if (images.length === 0) return 0;
  const layers = withImages(table, base, images);
  let bytes = 0;
  for (let layer = 0; layer < layers.length; layer += 1) if (layers[layer] !== base[layer]) bytes += table.sizes[layer]! * (held !== undefined && held[layer] === 1 ? heldBytesRatio : 1);
  return images.reduce((sum, image) => sum + values[image]!, 0) / bytes;
}
