import { BenchError, type Figure, measured, median, ratioAtLeast } from '../bench.js';
import { Draws, zipfDemand } from './draws.js';
import { type EpochCase, epochBound } from './epoch-bound.js';
import { openPlacementCase } from './placement-case.js';
import { admittedOrders, emptyRegion, hitsIn } from './planned-placement.js';
import { drawImages, placementImages, readRealCatalogue } from './real-catalogue.js';

const CASES = 20;
/** What plans must reach of the bound, where they know what comes. */
const FORESEEN_RATIO_MIN = 0.95;
const IMAGES = 40;
const EPOCHS = 12;
/** Pulls in an epoch, on average. */
const PULLS_AN_EPOCH = 60;
const CAPACITY_RATIO = 0.2;
/** Of all bytes, in an epoch of four hours: 2 % an hour. */
const BROUGHT_RATIO = 0.08;
/** How much the demand of an image may change from one epoch to the next: a factor of up to this, or its inverse. */
const DRIFT_MAX = 1.6;
/** Epochs that a perfect forecast looks ahead, and how much of a count is left in the next epoch. */
const FORESEEN_EPOCHS = 6;
const KEPT_RATIO = 0.8;

/** Of images with larger layers none are drawn, and none in which some layer is more than may be brought in an epoch: it would have to come in parts. */
const LAYER_BYTES_MAX = 5e7;

/** By image, what is expected before an epoch. */
type Expectation = (pulls: readonly Float64Array[], epoch: number) => Float64Array;

/** How much of the bound plans reach, with a forecast that is perfect and with none but what was pulled before. */
export async function epochFigures(tell: (line: string) => void): Promise<Figure[]> {
  const catalogue = await readRealCatalogue();
  const small = catalogue.images.filter(({ layers }) => layers.every((layer) => catalogue.layerBytes[layer]! <= LAYER_BYTES_MAX));
  const [foreseen, learned]: [number[], number[]] = [[], []];
  for (let seed = 1; foreseen.length < CASES; seed += 1) {
    const draws = new Draws(1000 + seed);
    const images = placementImages(catalogue, drawImages({ ...catalogue, images: small }, IMAGES, draws, IMAGES_OF_REPOSITORY_MAX));
    const of = openPlacementCase(images, new Float64Array(IMAGES));
    if (Math.max(...of.sizes) > of.totalBytes * BROUGHT_RATIO) continue;
    const epochs: EpochCase = { of, pulls: drawPulls(draws), capacityBytes: Math.floor(of.totalBytes * CAPACITY_RATIO), bytesPerEpoch: Math.floor(of.totalBytes * BROUGHT_RATIO) };
    const bound = await epochBound(epochs);
    foreseen.push(playEpochs(epochs, whatComes) / bound);
    learned.push(playEpochs(epochs, whatCame) / bound);
    tell(`case ${seed}: ${of.sizes.length} layers; ${foreseen.at(-1)!.toFixed(3)} of the bound with a perfect forecast, ${learned.at(-1)!.toFixed(3)} by what was pulled before`);
  }
  const against = `the linear bound of ${EPOCHS} epochs`;
  return [
    ratioAtLeast(`hits with a perfect forecast, median of ${CASES} cases`, median(foreseen), { against, bound: FORESEEN_RATIO_MIN }),
    { ...measured('the same, the worst', Math.min(...foreseen), 'ratio'), against },
    { ...measured(`hits by what was pulled before, median of ${CASES} cases`, median(learned), 'ratio'), against },
    { ...measured('the same, the worst', Math.min(...learned), 'ratio'), against },
  ];
}

/** Tags of one repository in a case: some share most of their layers. */
const IMAGES_OF_REPOSITORY_MAX = 8;

/** Pulls by epoch: Poisson, of rates that drift. */
function drawPulls(draws: Draws): Float64Array[] {
  let rates = zipfDemand(IMAGES, 0.9, draws).map((share) => share * PULLS_AN_EPOCH);
  return Array.from({ length: EPOCHS }, () => {
    rates = rates.map((rate) => rate * DRIFT_MAX ** (2 * draws.next() - 1));
    return rates.map((rate) => poisson(rate, draws));
  });
}

/** Knuth's way: for small means. */
function poisson(mean: number, draws: Draws): number {
  const least = Math.exp(-mean);
  let count = 0;
  for (let product = draws.next(); product > least; product *= draws.next()) count += 1;
  return count;
}

const whatComes: Expectation = (pulls, epoch) => sumOf(pulls.slice(epoch, epoch + FORESEEN_EPOCHS));

const whatCame: Expectation = (pulls, epoch) => sumOf(pulls.slice(0, epoch).map((ofEpoch, at) => ofEpoch.map((count) => count * KEPT_RATIO ** (epoch - at))));

function sumOf(all: readonly Float64Array[]): Float64Array {
  return Float64Array.from({ length: IMAGES }, (_, image) => all.reduce((sum, of) => sum + of[image]!, 0));
}

/** Plans before every epoch, within what may be brought; copies are there at once. @returns hits. */
function playEpochs({ of, pulls, capacityBytes, bytesPerEpoch }: EpochCase, expected: Expectation): number {
  let replicas = emptyRegion(of, capacityBytes).replicas;
  let hits = 0;
  for (const [epoch, ofEpoch] of pulls.entries()) {
    const facts = { ...emptyRegion({ ...of, demand: expected(pulls, epoch) }, capacityBytes), replicas };
    const there = new Set(replicas.map(({ layer }) => layer));
    replicas = admittedOrders(facts, bytesPerEpoch).replicas;
    const broughtBytes = replicas.reduce((sum, { layer, sizeBytes }) => (there.has(layer) ? sum : sum + sizeBytes), 0);
    if (broughtBytes > bytesPerEpoch) throw new BenchError(`a plan brought ${broughtBytes} of ${bytesPerEpoch} bytes`);
    hits += hitsIn({ ...of, demand: ofEpoch }, { replicas });
  }
  return hits;
}
