import { PlacementError } from '../placement-error.js';
import { PLACEMENT_PARAMETERS_DEFAULT, type PlacementParameters } from '../region-facts.js';

/** The greatest weight: beyond it nothing changes any more. */
const WEIGHT_MAX = 1e9;

/**
 * Reads weights of the planner, each as `name=number`, such as `gigabyteWeight=2`: the names and the units are those of {@link PlacementParameters}.
 * @returns the usual parameters with these changed.
 * @throws {PlacementError} `REPLAY_INVALID` for a name that is none, and for a value that is no number from 0, or beyond 1 where the parameter is a ratio.
 */
export function parseWeights(texts: readonly string[]): PlacementParameters {
  const changed: Record<string, unknown> = { ...PLACEMENT_PARAMETERS_DEFAULT };
  const names = Object.entries(changed).flatMap(([name, value]) => (typeof value === 'number' ? [name] : []));
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(0, at));
    if (!names.includes(name)) throw new PlacementError('REPLAY_INVALID', `a weight is name=number with one of the names ${names.join(', ')}, and is ${JSON.stringify(text)}`);
    const value = at + 1 === text.length ? Number.NaN : Number(text.slice(at + 1));
    const max = name.endsWith('Ratio') ? 1 : WEIGHT_MAX;
    if (!(value >= 0 && value <= max)) throw new PlacementError('REPLAY_INVALID', `${name} is a number from 0 to ${max}, and is ${JSON.stringify(text.slice(at + 1))}`);
    changed[name] = value;
  }
  return changed as unknown as PlacementParameters;
}
