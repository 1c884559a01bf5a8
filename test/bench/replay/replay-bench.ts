import { HOUR_MS } from '#quantities';

import { type Bench, BenchError } from '../bench.js';
import { measureCran } from './cran-part.js';
import { measureFront } from './front-part.js';
import { ARRIVAL_MODEL_DEFAULT } from './modelled-arrivals.js';
import { measureModelled } from './modelled-part.js';

/** Runs by chance that a mean is taken of. */
const SEEDS = 5;
const CAPACITIES = '5,15';
/** The same for the front, of which one history takes ten minutes. */
const FRONT_SEEDS = 2;
const FRONT_CAPACITY = '15';
/** The service plans four times an hour; with a sixteenth of that the bench takes a quarter of an hour. */
const EVERY_HOURS = 4;

/** Plays histories to this planner and to what others do, and counts every byte alike. */
export const replayBench: Bench = {
  question: 'what would have been there when it was pulled, and for how many bytes?',
  parts: ['modelled', 'real'],
  partsApart: ['front'],
  options: {
    alpha: `exponent of the popularity of repositories; ${ARRIVAL_MODEL_DEFAULT.alpha}`,
    concentration: `how alike regions are: ${ARRIVAL_MODEL_DEFAULT.concentration} gives a total variation of about .6, 12 one of .3`,
    capacity: `per cent of the catalogue that a share holds, one or more; ${CAPACITIES}, for the front one alone; ${FRONT_CAPACITY}`,
    weights: 'weights of the planner other than its own, as NAME=NUMBER,NAME=NUMBER; none',
    hours: `how many hours plans are apart; ${EVERY_HOURS}`,
    seeds: `histories by chance; ${SEEDS}, for the front ${FRONT_SEEDS}`,
  },
  files: { chart: 'where the front is drawn, as SVG; nowhere' },
  run: async (tell, parts, options) => {
    const isFront = parts.includes('front');
    const how = {
      weights: (options.weights ?? '').split(',').filter((weight) => weight !== ''),
      everyMs: numberOf('hours', options.hours ?? String(EVERY_HOURS)) * HOUR_MS,
      tell,
    };
    const capacities = (options.capacity ?? (isFront ? FRONT_CAPACITY : CAPACITIES)).split(',').map((each) => numberOf('capacity', each) / 100);
    const modelled = {
      ...how,
      alpha: numberOf('alpha', options.alpha ?? String(ARRIVAL_MODEL_DEFAULT.alpha)),
      concentration: numberOf('concentration', options.concentration ?? String(ARRIVAL_MODEL_DEFAULT.concentration)),
      seeds: Math.floor(numberOf('seeds', options.seeds ?? String(isFront ? FRONT_SEEDS : SEEDS))),
    };
    if (!isFront && options.chart !== undefined) throw new BenchError('--chart draws the front, which is measured with --part front');
    if (isFront) return measureFront({ ...modelled, capacity: capacityOfFront(capacities), chart: options.chart });
    return [...(parts.includes('modelled') ? await measureModelled({ ...modelled, capacities }) : []), ...(parts.includes('real') ? measureCran(how) : [])];
  },
};

function capacityOfFront(capacities: readonly number[]): number {
  const [capacity, ...more] = capacities;
  if (capacity === undefined || more.length > 0) throw new BenchError('the front is measured with one --capacity');
  return capacity;
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1000)) throw new BenchError(`--${option} is a number above 0 and below 1000, and is ${JSON.stringify(text)}`);
  return value;
}
