import { HOUR_MS, MINUTE_MS } from '#quantities';

import { demandKeyText } from './demand-store.js';
import type { Observation } from './observation.js';
import { type CountedPull, RegistryWalks } from './registry-walks.js';

/** Within this time of a counted pull, the same client pulling the same image in the same region is not counted again. */
export const REPEAT_WINDOW_MS = 10 * MINUTE_MS;
/** Pulls of one repository, in one region, by one client, that count within one hour: more is a loop, or somebody who looks at every tag. */
export const REPOSITORY_PULLS_PER_HOUR_MAX = 3;
/** Pulls in one region by one client that count within one hour: a node that starts with as many pods as a node may have. Who pulls more, and hardly any image twice, walks through the registry, and then none of its pulls of that hour count. */
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
  readonly #walks: RegistryWalks;
  #takenBack: readonly CountedPull[] = [];

  /** @param rememberedMax from 1; {@link REMEMBERED_PULLS_MAX} unless a test says otherwise. */
  constructor(rememberedMax = REMEMBERED_PULLS_MAX) {
    this.#rememberedMax = rememberedMax;
    this.#walks = new RegistryWalks(rememberedMax);
  }

  /** Pulls that were counted and are not to count any more, since the last call: those of who turned out to walk through the registry. */
  takenBack(): readonly CountedPull[] {
    const taken = this.#takenBack;
    if (taken.length > 0) this.#takenBack = [];
    return taken;
  }

  /** Whether a pull counts; if so, it is remembered. */
  take(observation: Omit<Observation, 'at'>, atMs: number): PullVerdict {
    const { clientHash, region, repository, image } = observation;
    if (clientHash === undefined) return 'counted';
    const text = demandKeyText(observation);
    const lastMs = this.#lastMs.get(`${text} ${clientHash}`);
    const hour = `${Math.floor(atMs / HOUR_MS)} ${clientHash} ${region}`;
    const counted = { key: { region, repository, image }, atMs };
    // Telemetry may come in any order: what lies shortly before a counted pull repeats it just as well.
    if (lastMs !== undefined && Math.abs(atMs - lastMs) < REPEAT_WINDOW_MS) {
      this.#walks.note(hour, text, counted, false);
      return 'repeated';
    }
    const [inAll, ofRepository] = [this.#counts.get(hour) ?? 0, this.#counts.get(`${hour} ${repository}`) ?? 0];
    if (inAll >= CLIENT_PULLS_PER_HOUR_MAX) {
      const walked = this.#walks.takeBack(hour);
      if (walked.length > 0) this.#takenBack = [...this.#takenBack, ...walked];
      return 'capped';
    }
    if (ofRepository >= REPOSITORY_PULLS_PER_HOUR_MAX) return 'capped';
    this.#remember(this.#counts, hour, inAll + 1);
    this.#remember(this.#counts, `${hour} ${repository}`, ofRepository + 1);
    this.#remember(this.#lastMs, `${text} ${clientHash}`, atMs);
    this.#walks.note(hour, text, counted, true);
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
