import { HOUR_MS, MINUTE_MS } from '#quantities';

import { demandKeyText } from './demand-store.js';
import type { Observation } from './observation.js';

/** Within this time of a counted pull, the same client pulling the same image in the same region is not counted again. */
export const REPEAT_WINDOW_MS = 10 * MINUTE_MS;
/** Pulls of one repository, in one region, by one client, that count within one hour: more is a loop, or somebody who looks at every tag. */
export const REPOSITORY_PULLS_PER_HOUR_MAX = 3;
/** Pulls in one region by one client that count within one hour: a node that starts with as many pods as a node may have. Who pulls more walks through the registry. */
export const CLIENT_PULLS_PER_HOUR_MAX = 110;
/** Pulls remembered to recognise repetitions: ten minutes at 160 a second. Beyond it the oldest are forgotten, and may be counted again. */
export const REMEMBERED_PULLS_MAX = 100_000;

/** What is done with a pull: count it; leave it out as a repetition, or because its client pulls too much. */
export type PullVerdict = 'counted' | 'repeated' | 'capped';

/**
 * Tells pulls that count from those that one client has counted already. Clients without a name are not told apart: each of their pulls counts. The verdicts on a client do not depend on the order
 * in which its pulls come, but for which of too many pulls it is that count. Bounded: the longest ago counted are forgotten first.
 */
export class ClientLimits {
  readonly #rememberedMax: number;
  /** When each client's pull was last counted, the longest ago counted first. */
  readonly #lastMs = new Map<string, number>();
  /** Pulls counted by client and hour, and by client, repository and hour. */
  readonly #counts = new Map<string, number>();

  /** @param rememberedMax from 1; {@link REMEMBERED_PULLS_MAX} unless a test says otherwise. */
  constructor(rememberedMax = REMEMBERED_PULLS_MAX) {
    this.#rememberedMax = rememberedMax;
  }

  /** Whether a pull counts; if so, it is remembered. */
  take(observation: Omit<Observation, 'at'>, atMs: number): PullVerdict {
    const { clientHash, region, repository } = observation;
    if (clientHash === undefined) return 'counted';
    const pull = `${demandKeyText(observation)} ${clientHash}`;
    const lastMs = this.#lastMs.get(pull);
    // Telemetry may come in any order: what lies shortly before a counted pull repeats it just as well.
    if (lastMs !== undefined && Math.abs(atMs - lastMs) < REPEAT_WINDOW_MS) return 'repeated';
    const hour = `${Math.floor(atMs / HOUR_MS)} ${clientHash} ${region}`;
    const [inAll, ofRepository] = [this.#counts.get(hour) ?? 0, this.#counts.get(`${hour} ${repository}`) ?? 0];
    if (inAll >= CLIENT_PULLS_PER_HOUR_MAX || ofRepository >= REPOSITORY_PULLS_PER_HOUR_MAX) return 'capped';
    this.#remember(this.#counts, hour, inAll + 1);
    this.#remember(this.#counts, `${hour} ${repository}`, ofRepository + 1);
    this.#remember(this.#lastMs, pull, atMs);
    return 'counted';
  }

  #remember(map: Map<string, number>, key: string, value: number): void {
    map.delete(key);
    map.set(key, value);
    if (map.size <= this.#rememberedMax) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
}
