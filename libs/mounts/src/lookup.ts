import type { Clock } from '#clock';

import { type AnswerContext, type Answered, answerLookup, answerPull, type LookupRequest, MAP_AGE_MAX_MS, type PullCaller, type PullOutcome, type PullRequest } from './answer-pull.js';
import type { CallerNetworks } from './caller-networks.js';
import type { LeaseBook } from './lease-book.js';
import type { MountSources } from './mount-sources.js';
import type { MountAnswer } from './mount-answer.js';
import type { NearShares } from './near-shares.js';
import { type AnswerPieces, type LayerTally, type PlainLookup, PreparedAnswers, writeAnswer } from './prepared-answers.js';
import type { ObservedPull, PullObserver } from './pull-observer.js';
import type { ReplicaMap } from './replica-map.js';
import { rewriteMounts, type RewriteRequest } from './rewrite-mounts.js';

/** What a {@link Lookup} is made with. */
export interface LookupOptions {
  /** The map to answer from: a `MapFeeder`. */
  readonly feeder: { readonly map: ReplicaMap };
  readonly near: NearShares;
  readonly sources: MountSources;
  /** As in {@link AnswerContext}. */
  readonly networks?: CallerNetworks;
  readonly leases: Pick<LeaseBook, 'grant'>;
  readonly observer: PullObserver;
  readonly clock: Clock;
  /** As in {@link AnswerContext}. */
  readonly mapAgeMaxMs?: number;
  /** As in {@link AnswerContext}. */
  readonly expansionBytesPerSecond?: number;
  /** Hears of an observer or a lease book that failed; the answer goes out without them. */
  readonly onFailure?: (error: unknown) => void;
  /** Whether this process is so busy that only answers that cost little are given: those that are written already, and blobs. Default never. */
  readonly isBusy?: () => boolean;
  /** Hears of every request that gets blobs for that. */
  readonly onShed?: () => void;
}

/** What is known of the caller besides the pull itself. */
export interface PullContext {
  /** As in `ObservedPull`. */
  readonly client?: string | undefined;
  /** False for a request that is no pull, such as HEAD: it is neither observed nor leased. Default true. */
  readonly pulls?: boolean | undefined;
}

/** An answer as it goes over the wire. */
export interface WrittenAnswer {
  readonly pieces: AnswerPieces;
  readonly tally: readonly LayerTally[];
}

/** Answers pulls: decides from the map, grants the lease, tells the observer. Synchronous: an answer waits for nothing. */
export class Lookup {
  readonly #options: LookupOptions;
  readonly #prepared = new PreparedAnswers();

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** Answers a pull by reference. Never throws. */
  pull(request: PullRequest, context: PullContext = {}): PullOutcome {
    const answers = this.#context();
    const outcome = answerPull(this.#affordable(request), answers);
    const wants = wantsOf(context);
    if (outcome.kind === 'answer') return this.#finish(outcome, answers.now, wants);
    // A node that waits for the image wants it as much as one that takes the blobs.
    if (outcome.kind === 'expanding' && outcome.region !== null && wants.observe) {
      this.#observe({ region: outcome.region, repository: request.repository, image: outcome.progress.digest, client: wants.client, at: answers.now });
    }
    return outcome;
  }

  /** Answers a pull whose manifest and layers the registry names. Never throws. */
  lookup(request: LookupRequest, context: PullContext = {}): MountAnswer {
    const answers = this.#context();
    return this.#finish(answerLookup(this.#affordable(request), answers), answers.now, wantsOf(context)).answer;
  }

  /**
   * Answers a lookup of a whole image as `lookup` does, written already. Never throws.
   * @returns undefined when it is not so plain: then nothing was observed or leased, and `lookup` has to be asked.
   */
  written(request: PlainLookup, context: PullContext = {}): WrittenAnswer | undefined {
    const answers = this.#context();
    const prepared = this.#prepared.answerTo(request, answers);
    if (prepared === undefined) return undefined;
    const { region, repository, image, held } = prepared;
    const wants = wantsOf(context);
    if (wants.observe) this.#observe({ region, repository, image, client: wants.client, at: answers.now });
    const lease = wants.lease && held.count > 0 ? this.#grant(region, held, answers.now) : undefined;
    return { pieces: writeAnswer(prepared, answers.map.asOf?.toISOString() ?? '', lease), tally: prepared.tally };
  }

  /** Rewrites a mount response for another region, under a lease of its own. It was observed when it was first answered. Never throws. */
  rewrite(request: RewriteRequest): MountAnswer {
    const answers = this.#context();
    return this.#finish(rewriteMounts(this.#affordable(request), answers), answers.now, { lease: true, observe: false }).answer;
  }

  /** What is asked for, or less while this process is busy. */
  #affordable<Request extends PullCaller>(request: Request): Request {
    const { isBusy, onShed } = this.#options;
    if (request.onlyBlobs !== undefined || isBusy?.() !== true) return request;
    onShed?.();
    return { ...request, onlyBlobs: 'SERVICE_BUSY' };
  }

  #context(): AnswerContext & { readonly mapAgeMaxMs: number } {
    const { feeder, near, sources, networks, clock, mapAgeMaxMs = MAP_AGE_MAX_MS, expansionBytesPerSecond } = this.#options;
    return { map: feeder.map, near, sources, networks, now: clock.now(), mapAgeMaxMs, expansionBytesPerSecond };
  }

  #finish(answered: Answered, now: Date, wants: FinishWants): Answered {
    const { answer, held, imageKnown } = answered;
    const { region } = answer;
    if (region === null) return answered;
    if (wants.observe && imageKnown && wantsLayers(answer)) this.#observe({ region, repository: answer.repository, image: answer.digest, client: wants.client, at: now });
    const lease = wants.lease && held.length > 0 ? this.#grant(region, held, now) : undefined;
    if (lease === undefined) return answered;
    return { ...answered, answer: { ...answer, lease: { id: lease.id, expiresAt: lease.expiresAt.toISOString() } } };
  }

  #observe(pull: ObservedPull): void {
    try {
      this.#options.observer.observed(pull);
    } catch (error) {
      this.#options.onFailure?.(error);
    }
  }

  #grant(...args: Parameters<LeaseBook['grant']>): ReturnType<LeaseBook['grant']> {
    try {
      return this.#options.leases.grant(...args);
    } catch (error) {
      this.#options.onFailure?.(error);
      return undefined;
    }
  }
}

/** Who asks for no layers, or only for those it has, looks what an image is and pulls nothing. */
function wantsLayers({ layers }: MountAnswer): boolean {
  return layers.some((layer) => layer.kind === 'mount' || layer.reason !== 'ALREADY_HELD');
}

interface FinishWants {
  readonly lease: boolean;
  readonly observe: boolean;
  readonly client?: string | undefined;
}

function wantsOf({ client, pulls = true }: PullContext): FinishWants {
  return { client, lease: pulls, observe: pulls };
}
