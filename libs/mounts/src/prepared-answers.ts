import type { Digest } from '#oci';
import { MiB, MINUTE_MS, SECOND_MS } from '#quantities';
import type { RegionName } from '#regions';

import { type AnswerContext, answerLookup, type LookupRequest } from './answer-pull.js';
import { HeldList } from './held-list.js';
import type { Lease } from './lease.js';
import type { Transport } from './mount-answer.js';
import type { MappedImage } from './mapped-image.js';
import { spreadOf } from './spread.js';

/** For how long an answer is given again at most, and half as long at least: grants are renewed after that. What the map says, and which shares are down, shows at once. */
export const PREPARED_KEPT_MS = 5 * MINUTE_MS;
/** The same where a share could not be asked: it may be the next time. */
export const UNSURE_KEPT_MS = 2 * SECOND_MS;
/** Bytes of answers kept at most, half of them for as long as they are asked for: an image of 20 layers takes about 14 kB for each region. */
export const PREPARED_BYTES_MAX = 256 * MiB;
/** What an answer takes besides its own bytes: its object, what it holds, its counts. */
const PREPARED_OVERHEAD_BYTES = 4096;

/** A lookup in its plainest form: all layers of one image, in order, as the registry's manifest has them. */
export interface PlainLookup {
  readonly repository: string;
  readonly manifest: Digest;
  /** The list of the layers' digests as JSON without spaces. */
  readonly layersText: string;
  readonly region: RegionName;
  readonly transports?: readonly Transport[] | undefined;
}

/** How many layers of an answer are alike: mounts, or blobs of one reason. */
export interface LayerTally {
  readonly kind: 'mount' | 'blob';
  /** Empty for mounts. */
  readonly reason: string;
  readonly count: number;
}

/** An answer that is written already, except for its `asOf` and its lease. Immutable. */
export interface PreparedAnswer {
  readonly repository: string;
  readonly image: Digest;
  readonly region: RegionName;
  readonly held: HeldList;
  readonly tally: readonly LayerTally[];
  /** Up to the value of `asOf`; ASCII, as the names of repositories and regions are. */
  readonly opening: string;
  /** From after that value up to where a lease may follow, in UTF-8. Outside of what is searched for garbage, and never copied before it is sent. */
  readonly rest: Uint8Array;
}

interface Kept extends PreparedAnswer {
  readonly of: MappedImage;
  readonly layersText: string;
  /** Of the image when it was written. */
  readonly version: number;
  /** Of the sources when it was written. */
  readonly standing: number;
  readonly untilMs: number;
}

type Generation = Map<string, Map<MappedImage, Kept>>;

/** What {@link PreparedAnswers} is made with. */
export interface PreparedAnswersOptions {
  /** Default {@link PREPARED_BYTES_MAX}. */
  readonly bytesMax?: number;
  /** Default {@link PREPARED_KEPT_MS}. */
  readonly keptMs?: number;
}

/**
 * Answers to whole images, written once and given to every caller in the same region. An answer is made anew as soon as the map has changed any of the records that
 * it was made from, or a share is down or up again, and after {@link PREPARED_KEPT_MS} at most in any case, each at another time. Bounded in bytes: when half of them is full, what was not asked for since the other half was goes.
 */
export class PreparedAnswers {
  readonly #bytesMax: number;
  readonly #keptMs: number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #youngBytes = 0;
  #oldBytes = 0;

  constructor({ bytesMax = PREPARED_BYTES_MAX, keptMs = PREPARED_KEPT_MS }: PreparedAnswersOptions = {}) {
    this.#bytesMax = bytesMax;
    this.#keptMs = keptMs;
  }

  /** Bytes that are kept now, as they are counted against the bound. */
  get keptBytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  /**
   * The answer, as `answerLookup` gives it; undefined where that one has to be asked, because the question is not so plain: another order or choice of layers, an index,
   * a repository, image or region that is not known, a map that is too old. The map decides what belongs to what: nothing in the request is trusted.
   */
  answerTo(request: PlainLookup, context: AnswerContext & { readonly mapAgeMaxMs: number }): PreparedAnswer | undefined {
    const { map, now } = context;
    const nowMs = now.getTime();
    if (map.asOf === undefined || nowMs - map.asOf.getTime() > context.mapAgeMaxMs) return undefined;
    if (map.enabled(request.repository) !== true) return undefined;
    const image = map.image(request.repository, request.manifest);
    if (image?.kind !== 'image') return undefined;
    const caller = request.transports === undefined ? request.region : `${request.region} ${request.transports.join(',')}`;
    const known = this.#find(caller, image);
    const holds = known !== undefined && nowMs < known.untilMs && known.version === image.version && known.standing === context.sources.standing(now);
    const kept = holds ? known : this.#prepare(request, image, context);
    if (kept === undefined || kept.layersText !== request.layersText) return undefined;
    if (kept !== known) this.#keep(caller, kept);
    return kept;
  }

  #find(caller: string, image: MappedImage): Kept | undefined {
    const young = this.#young.get(caller)?.get(image);
    if (young !== undefined) return young;
    const old = this.#old.get(caller)?.get(image);
    if (old !== undefined) this.#keep(caller, old);
    return old;
  }

  #prepare(request: PlainLookup, image: MappedImage, context: AnswerContext): Kept | undefined {
    if (context.near.of(request.region) === undefined) return undefined;
    const layers = image.layers.map(({ digest }) => digest);
    const layersText = JSON.stringify(layers);
    if (layersText !== request.layersText) return undefined;
    const { version } = image;
    const standing = context.sources.standing(context.now);
    const asked: LookupRequest = { repository: request.repository, manifest: request.manifest, layers, region: request.region, ...(request.transports === undefined ? {} : { transports: request.transports }) };
    const { answer, held } = answerLookup(asked, context);
    const { schemaVersion, repository, digest, region, asOf: _, ...rest } = answer;
    // An estimate counts from now: it is made for each caller.
    if (region === null || answer.layers.some((layer) => layer.kind === 'blob' && layer.expectedAt !== undefined)) return undefined;
    const isUnsure = answer.layers.some((layer) => layer.kind === 'blob' && layer.reason === 'SHARE_UNAVAILABLE');
    const opening = JSON.stringify({ schemaVersion, repository, digest, region });
    // What is kept for long must not hold on to the text of a request.
    const own = JSON.parse(opening) as { repository: string; digest: Digest; region: RegionName };
    return {
      repository: own.repository,
      image: own.digest,
      region: own.region,
      held: HeldList.of(held),
      tally: tallyOf(answer.layers),
      opening: `${opening.slice(0, -1)},"asOf":"`,
      rest: Buffer.from(`",${JSON.stringify(rest).slice(1, -1)}`),
      of: image,
      layersText,
      version,
      standing,
      // What was asked for together, such as after a start, is not made anew together: each answer takes about as long as a dozen that are given again.
      untilMs: context.now.getTime() + (isUnsure ? Math.min(UNSURE_KEPT_MS, this.#keptMs) : (this.#keptMs * (1 + spreadOf(own.digest))) / 2),
    };
  }

  #keep(caller: string, kept: Kept): void {
    if (this.#youngBytes >= this.#bytesMax / 2) {
      [this.#old, this.#oldBytes] = [this.#young, this.#youngBytes];
      [this.#young, this.#youngBytes] = [new Map(), 0];
    }
    let ofCaller = this.#young.get(caller);
    if (ofCaller === undefined) this.#young.set(caller, (ofCaller = new Map<MappedImage, Kept>()));
    const before = ofCaller.get(kept.of);
    this.#youngBytes += bytesOf(kept) - (before === undefined ? 0 : bytesOf(before));
    ofCaller.set(kept.of, kept);
  }
}

/** A whole answer as it goes over the wire, in three pieces: what is long is shared by all who are given it. */
export interface AnswerPieces {
  /** ASCII. */
  readonly opening: string;
  readonly rest: Uint8Array;
  /** ASCII. */
  readonly closing: string;
}

/** The answer with its `asOf` and its lease. Nothing long is copied. */
export function writeAnswer({ opening, rest }: PreparedAnswer, asOf: string, lease: Pick<Lease, 'id' | 'expiresAt'> | undefined): AnswerPieces {
  return { opening: opening + asOf, rest, closing: lease === undefined ? '}' : `,"lease":{"id":"${lease.id}","expiresAt":"${lease.expiresAt.toISOString()}"}}` };
}

function bytesOf({ rest }: Kept): number {
  return rest.length + PREPARED_OVERHEAD_BYTES;
}

function tallyOf(layers: readonly ({ readonly kind: 'mount' } | { readonly kind: 'blob'; readonly reason: string })[]): LayerTally[] {
  const counts = new Map<string, { kind: 'mount' | 'blob'; reason: string; count: number }>();
  for (const layer of layers) {
    const reason = layer.kind === 'blob' ? layer.reason : '';
    const counted = counts.get(reason);
    if (counted === undefined) counts.set(reason, { kind: layer.kind, reason, count: 1 });
    else counted.count += 1;
  }
  return [...counts.values()];
}
