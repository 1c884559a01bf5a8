import { imageKey, type PlannedOptions, Replay, type ReplayPolicy, type ReplayPolicyName, replayPolicy, type ReplayScore, type ReplayWorld } from '#placement';

import type { Workload } from './workload.js';

/** How a workload is played. */
export interface Play {
  readonly policy: ReplayPolicyName;
  /** Of the catalogue, for each share. */
  readonly capacityRatio: number;
  readonly warmUpMs: number;
  readonly options?: Partial<PlannedOptions>;
}

/** What came of it. */
export interface Played {
  readonly score: ReplayScore;
  /** The share of clients that found all they wanted: of all that each pulled after the warm-up. */
  readonly clientHitRatio: number;
  readonly seconds: number;
}

/** Plays a workload to a policy. Replicating everything is played where there is room for everything. */
export function playWorkload(workload: Workload, { policy: name, capacityRatio, warmUpMs, options = {} }: Play): Played {
  const { catalogue, places, events } = workload;
  const beganMs = performance.now();
  const heard = new Map<string, boolean>();
  const fromMs = (events.find(({ kind }) => kind === 'pull')?.at.getTime() ?? 0) + warmUpMs;
  const all = { stopwatch: () => performance.now(), ...options, ...(name === 'perfect-forecast' ? { oracle: oracleOf(workload) } : {}) };
  const replay = new Replay({
    catalogue, places, warmUpMs, disorderMsMax: 0,
    capacityBytes: Math.ceil(name === 'replicate-all' ? catalogue.totalBytes : capacityRatio * catalogue.totalBytes),
    policy: (world) => listening(replayPolicy(name, world, all), world, (client, isHit, atMs) => atMs >= fromMs && heard.set(client, isHit && (heard.get(client) ?? true))),
  });
  for (const event of events) replay.play(event);
  const clients = [...heard.values()];
  return { score: replay.score(), clientHitRatio: clients.filter(Boolean).length / Math.max(1, clients.length), seconds: (performance.now() - beganMs) / 1000 };
}

/** Tells from the whole history how often an image will be pulled. */
export function oracleOf({ catalogue, places, events }: Workload): NonNullable<PlannedOptions['oracle']> {
  const shares = new Map(places.regions.map(({ region }, n) => [region, n]));
  const times = places.regions.map(() => new Map<number, number[]>());
  for (const event of events) {
    const of = times[shares.get(event.region) ?? -1];
    if (event.kind !== 'pull' || of === undefined) continue;
    const image = catalogue.imageNumber.get(imageKey({ repository: event.repository, digest: event.image }))!;
    const known = of.get(image);
    if (known === undefined) of.set(image, [event.at.getTime()]);
    else known.push(event.at.getTime());
  }
  const firstFrom = (of: readonly number[], atMs: number): number => {
    let [low, high] = [0, of.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (of[middle]! < atMs) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return (share, image, fromMs, toMs) => {
    const of = times[share]?.get(image);
    return of === undefined ? 0 : firstFrom(of, toMs) - firstFrom(of, fromMs);
  };
}

/** The same policy; what its regions' clients found is told besides. */
function listening(policy: ReplayPolicy, world: ReplayWorld, hear: (client: string, isHit: boolean, atMs: number) => unknown): ReplayPolicy {
  return new Proxy(policy, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key !== 'pulled') return value.bind(target) as unknown;
      return (...[pull, isHit]: Parameters<ReplayPolicy['pulled']>) => {
        if (world.shares[pull.share] !== undefined) hear(pull.client, isHit, pull.atMs);
        target.pulled(pull, isHit);
      };
    },
  });
}
