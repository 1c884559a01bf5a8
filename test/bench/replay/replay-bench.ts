import { HOUR_MS } from '#quantities';

import { type Bench, BenchError } from '../bench.js';
import { measureCran } from './cran-part.js';
import { ARRIVAL_MODEL_DEFAULT } from './modelled-arrivals.js';
import { measureModelled } from './modelled-part.js';

/** Runs by chance that a mean is taken of. */
const SEEDS = 5;
const CAPACITIES = '5,15';
/** The service plans four times an hour; with a sixteenth of that the bench takes a quarter of an hour. */
const EVERY_HOURS = 4;

/** Plays histories to this planner and to what others do, and counts every byte alike. */
export const replayBench: Bench = {
  question: 'what would have been there when it was pulled, and for how many bytes?',
  parts: ['modelled', 'real'],
  options: {
    alpha: `exponent of the popularity of repositories; ${ARRIVAL_MODEL_DEFAULT.alpha}`,
    concentration: `how alike regions are: ${ARRIVAL_MODEL_DEFAULT.concentration} gives a total variation of about .6, 12 one of .3`,
    capacity: `per cent of the catalogue that a share holds, one or more; ${CAPACITIES}`,
    weights: 'weights of the planner other than its own, as NAME=NUMBER,NAME=NUMBER; none',
    hours: `how many hours plans are apart; ${EVERY_HOURS}`,
    seeds: `histories by chance; ${SEEDS}`,
  },
  run: async (tell, parts, options) => {
    const how = {
      weights: (options.weights ?? '').split(',').filter((weight) => weight !== ''),
      everyMs: numberOf('hours', options.hours ?? String(EVERY_HOURS)) * HOUR_MS,
      tell,
    };
    const modelled = {
      ...how,
      alpha: numberOf('alpha', options.alpha ?? String(ARRIVAL_MODEL_DEFAULT.alpha)),
      concentration: numberOf('concentration', options.concentration ?? String(ARRIVAL_MODEL_DEFAULT.concentration)),
      capacities: (options.capacity ?? CAPACITIES).split(',').map((each) => numberOf('capacity', each) / 100),
      seeds: Math.floor(numberOf('seeds', options.seeds ?? String(SEEDS))),
    };
    return [...(parts.includes('modelled') ? await measureModelled(modelled) : []), ...(parts.includes('real') ? measureCran(how) : [])];
  },
};

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1000)) throw new BenchError(`--${option} is a number above 0 and below 1000, and is ${JSON.stringify(text)}`);
  return value;
}
