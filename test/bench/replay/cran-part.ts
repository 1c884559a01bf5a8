import { parseWeights, type ReplayPolicyName, type ReplayScore } from '#placement';

import { type Figure, measured, ratioAtLeast, ratioAtMost } from '../bench.js';
import { CRAN_WARM_UP_MS, cranSessions } from './cran-sessions.js';
import { type Played, playWorkload } from './play-workload.js';

const CAPACITY = 0.1;
/** Of installations that find all they want. */
const [LIMITED_MIN, UNLIMITED_MIN] = [0.62, 0.84];
/** Of bytes copied, against those that a pull-through share of the same size takes in. */
const [LIMITED_BYTES_MAX, UNLIMITED_BYTES_MAX] = [1 / 3, 1.6];

/** Plays the real requests of two days, and counts the second. */
export function measureCran({ weights, everyMs, tell }: { readonly weights: readonly string[]; readonly everyMs: number; readonly tell: (line: string) => void }): readonly Figure[] {
  const workload = cranSessions();
  const options = { parameters: parseWeights(weights), everyMs };
  const play = (policy: ReplayPolicyName, capacityRatio: number): Played => {
    const played = playWorkload(workload, { policy, capacityRatio, warmUpMs: CRAN_WARM_UP_MS, options });
    const { replicatedBytes, fallbackBytes } = played.score.total;
    tell(`real requests, ${capacityRatio * 100} %, ${policy}: ${played.clientHitRatio.toFixed(3)} of installations, ${(replicatedBytes / 1e9).toFixed(2)} GB copied and ${(fallbackBytes / 1e9).toFixed(2)} GB fetched, in ${played.seconds.toFixed(0)} s`);
    return played;
  };
  const [lru, gdsf, planned, perfect] = (['lru', 'gdsf', 'planned', 'perfect-forecast'] as const).map((policy) => play(policy, CAPACITY));
  const [through, unlimited] = (['lru', 'planned'] as const).map((policy) => play(policy, 1));
  const name = (text: string): string => `real requests: ${text}`;
  return [
    ratioAtLeast(name('installations found whole, 10 %'), planned!.clientHitRatio, { against: 'all installations', bound: LIMITED_MIN }),
    measured(name('the same by lru'), lru!.clientHitRatio, 'of installations'),
    measured(name('the same by gdsf'), gdsf!.clientHitRatio, 'of installations'),
    measured(name('the same by perfect-forecast'), perfect!.clientHitRatio, 'of installations'),
    ratioAtMost(name('bytes copied, 10 %'), planned!.score.total.replicatedBytes / wanOf(lru!.score), { against: 'lru’s', bound: LIMITED_BYTES_MAX }),
    measured(name('bytes copied and fetched, 10 %'), wanOf(planned!.score) / wanOf(lru!.score), 'of lru’s'),
    ratioAtLeast(name('installations found whole, unlimited'), unlimited!.clientHitRatio, { against: 'all installations', bound: UNLIMITED_MIN }),
    measured(name('the same by pull-through'), through!.clientHitRatio, 'of installations'),
    ratioAtMost(name('bytes copied, unlimited'), unlimited!.score.total.replicatedBytes / wanOf(through!.score), { against: 'pull-through', bound: UNLIMITED_BYTES_MAX }),
    measured(name('bytes copied and fetched, unlimited'), wanOf(unlimited!.score) / wanOf(through!.score), 'of pull-through'),
  ];
}

function wanOf({ total }: ReplayScore): number {
  return total.replicatedBytes + total.fallbackBytes;
}
