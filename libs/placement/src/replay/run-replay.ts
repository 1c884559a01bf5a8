import { GB } from '#quantities';

import { PlacementError } from '../placement-error.js';
import { imageKey } from '../region-facts.js';
import type { ReplayCatalogue, ReplayRegions } from './replay-catalogue.js';
import type { ReplayEvent } from './replay-event.js';
import type { ReplayPolicy, ReplayWorld, SeenPull } from './replay-policy.js';
import { FRESH_MS, hitRatio, LATE_MS, PullCounter, type RegionScore, type ReplayScore, totalOf } from './replay-score.js';
import { ReplayShare } from './replay-share.js';

/** What a replay is made of. */
export interface ReplayOptions {
  readonly catalogue: ReplayCatalogue;
  readonly places: ReplayRegions;
  /** What a share holds where its region does not say: bytes. */
  readonly capacityBytes: number;
  /** How long after the first pull counting begins. >= 0. */
  readonly warmUpMs: number;
  /** How early or late two neighbouring events may be against each other; the later clock counts. >= 0. */
  readonly disorderMsMax: number;
  /** Makes the policy. */
  readonly policy: (world: ReplayWorld) => ReplayPolicy & { readonly planMs?: readonly number[] };
}

/**
 * Plays a history to a policy, strictly online: a pull is answered from what is there, then the policy is told of it. Images are known to a policy from their push on; one
 * that is pulled before any push had been pushed before the history began, and is known from its first pull on. Pulls at home are told, and not scored.
 * @throws {PlacementError} `REPLAY_INVALID` for an event that names what the catalogue or the regions do not have, or that goes back in time by more than is allowed.
 */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #shares: readonly ReplayShare[];
  readonly #counters: readonly PullCounter[];
  readonly #shareNumber: ReadonlyMap<string, number>;
  readonly #policy: ReplayPolicy & { readonly planMs?: readonly number[] };
  readonly #pushedAtMs: Float64Array;
  /** Which image was pulled in which region before: `share × images + image`. */
  readonly #pulledBefore: Uint8Array;
  /** The repositories that were pulled in each region. */
  readonly #repositories: readonly Set<string>[];
  #beganAtMs = Number.NaN;
  #nowMs = Number.NaN;
  #isCounting = false;
  #eventCount = 0;

  constructor(options: ReplayOptions) {
    const { catalogue, places, capacityBytes } = options;
    this.#options = options;
    this.#shares = places.regions.map((region) => new ReplayShare(catalogue, region, region.capacityBytes ?? capacityBytes));
    this.#counters = places.regions.map(() => new PullCounter());
    this.#shareNumber = new Map([[places.home, -1], ...places.regions.map(({ region }, n) => [region, n] as const)]);
    this.#policy = options.policy({ catalogue, places, shares: this.#shares });
    this.#pushedAtMs = new Float64Array(catalogue.images.length).fill(Number.NaN);
    this.#pulledBefore = new Uint8Array(catalogue.images.length * places.regions.length);
    this.#repositories = places.regions.map(() => new Set());
  }

  /** Plays the next event. */
  play(event: ReplayEvent): void {
    this.#eventCount += 1;
    const image = this.#options.catalogue.imageNumber.get(imageKey({ repository: event.repository, digest: event.image }));
    if (image === undefined) throw this.#unknown('image', `${event.repository}@${event.image}`, 'the catalogue');
    const share = this.#shareNumber.get(event.region);
    if (share === undefined) throw this.#unknown('region', event.region, 'the regions');
    const atMs = this.#passTo(event.at.getTime(), event.kind);
    switch (event.kind) {
      case 'push': return this.#push(image, atMs);
      case 'delete': return this.#policy.deleted(image, atMs);
      case 'pull': return this.#pull({ image, share, client: event.client, atMs });
      case 'pin': return this.#pin(image, share, { atMs, untilMs: event.until?.getTime() ?? Number.POSITIVE_INFINITY });
    }
  }

  /** What it came to so far. */
  score(): ReplayScore {
    for (const share of this.#shares) share.passTo(this.#nowMs);
    const regions = this.#shares.map((share, n): RegionScore => {
      const counts = share.counts();
      const usd = ((counts.replicatedBytes + counts.fallbackBytes) / GB) * share.region.usdPerGb;
      return { region: share.region.region, ...this.#counters[n]!.counts(), ...counts, usd };
    });
    const ratios = regions.filter((region) => region.all.pulls > 0).map((region) => hitRatio(region.all));
    return { policy: this.#policy.name, total: totalOf(regions), regions, worstHitRatio: ratios.length === 0 ? 1 : Math.min(...ratios), planMs: this.#policy.planMs ?? [] };
  }

  #push(image: number, atMs: number): void {
    if (Number.isNaN(this.#pushedAtMs[image] ?? Number.NaN)) this.#pushedAtMs[image] = atMs;
    this.#policy.pushed(image, atMs);
  }

  #pin(image: number, share: number, { atMs, untilMs }: { readonly atMs: number; readonly untilMs: number }): void {
    if (share < 0) return;
    if (Number.isNaN(this.#pushedAtMs[image])) this.#policy.pushed(image, Number.isNaN(this.#beganAtMs) ? atMs : Math.min(atMs, this.#beganAtMs));
    this.#policy.pinned(image, share, untilMs);
  }

  #pull(pull: SeenPull): void {
    const { image, share: n, atMs } = pull;
    const isKnown = !Number.isNaN(this.#pushedAtMs[image] ?? Number.NaN);
    if (!isKnown) this.#pushedAtMs[image] = Number.NEGATIVE_INFINITY;
    const share = this.#shares[n];
    let isHit = true;
    if (share !== undefined) {
      isHit = share.read(image);
      const at = n * this.#options.catalogue.images.length + image;
      const isFirst = this.#pulledBefore[at] === 0;
      this.#pulledBefore[at] = 1;
      const pushedAtMs = this.#pushedAtMs[image] ?? Number.NEGATIVE_INFINITY;
      const { repository } = this.#options.catalogue.images[image]!;
      const isLate = isFirst && pushedAtMs >= this.#beganAtMs && atMs - pushedAtMs > LATE_MS && this.#repositories[n]!.has(repository);
      this.#repositories[n]!.add(repository);
      if (this.#isCounting) this.#counters[n]!.count(isHit, { isFirst, isFresh: atMs - pushedAtMs <= FRESH_MS, isLate });
    }
    if (!isKnown) this.#policy.pushed(image, Math.min(atMs, this.#beganAtMs));
    this.#policy.pulled(pull, isHit);
  }

  #passTo(atMs: number, kind: ReplayEvent['kind']): number {
    if (Number.isNaN(this.#nowMs)) this.#nowMs = atMs;
    if (Number.isNaN(this.#beganAtMs) && kind === 'pull') this.#beganAtMs = atMs;
    if (atMs < this.#nowMs - this.#options.disorderMsMax) {
      throw new PlacementError('REPLAY_INVALID', `event ${this.#eventCount} is of ${new Date(atMs).toISOString()}, ${this.#nowMs - atMs} ms before the one that came first; events are in order, but for ${this.#options.disorderMsMax} ms`);
    }
    this.#nowMs = Math.max(this.#nowMs, atMs);
    if (!this.#isCounting && this.#nowMs >= this.#beganAtMs + this.#options.warmUpMs) {
      this.#isCounting = true;
      for (const share of this.#shares) share.beginCounting();
    }
    for (const share of this.#shares) share.passTo(this.#nowMs);
    this.#policy.passed(this.#nowMs);
    return this.#nowMs;
  }

  #unknown(field: string, value: string, where: string): PlacementError {
    return new PlacementError('REPLAY_INVALID', `event ${this.#eventCount}: ${field} is one of ${where}, and is ${JSON.stringify(value.slice(0, 200))}`, { details: { event: this.#eventCount, field } });
  }
}
