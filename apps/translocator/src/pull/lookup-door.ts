import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

import { type Caller, covers, type TokenBook } from '#access';
import { LookupBody } from '#contract';
import type { AnswerPieces, LayerTally, Lookup, PullReason } from '#mounts';
import { KiB } from '#quantities';
import type { Metrics } from '#telemetry';

import { limitBody } from '../http/body-deadline.js';
import { isDoubled } from '../http/plain-requests.js';
import type { AnswerLine } from './answer-line.js';
import type { LoopLoad } from './loop-load.js';
import { clientHash } from './pull-telemetry.js';
import { readPlainLookup } from './plain-lookup.js';
import { ScrapedCounts } from './scraped-counts.js';

/** Bodies up to this many bytes are looked at here: a lookup of 800 layers. */
export const PLAIN_BODY_BYTES_MAX = 64 * KiB;
const PATH = '/v1/lookup';
const MOUNT_PATHS = '/mount/v1/';
const JSON_TYPES: ReadonlySet<string | undefined> = new Set(['application/json', 'application/json; charset=utf-8', 'application/json;charset=utf-8']);

/** What a {@link LookupDoor} is made with. */
export interface LookupDoorOptions {
  readonly lookup: Pick<Lookup, 'written' | 'lookup'>;
  /** Where answers stand that are not written already. */
  readonly line: AnswerLine;
  readonly load: Pick<LoopLoad, 'isLoaded'>;
  readonly book: Pick<TokenBook, 'check'>;
  readonly metrics: Metrics;
  /** How long a body may take, in milliseconds; a slower one is answered with 408. */
  readonly bodyWithinMs: number;
}

/** A lookup with a good token, with its body read. */
interface OpenLookup {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly caller: Caller;
  readonly startedAt: number;
  /** Hands it on to the framework. */
  readonly goOn: () => void;
}

/**
 * The short way for `POST /v1/lookup`, before the framework: plain lookups with a good token are answered by bytes that are written already; all others that are as the contract says are worked out here,
 * and stand in line for it, with blobs (`SERVICE_BUSY`) as what is given to them when they stand too long or turns of the event loop are late. Pulls of nodes stand in the same line for the framework. Everything else goes on to the
 * framework as it came, with its body unread again, and is checked, answered or refused there: this door never refuses anything.
 */
export class LookupDoor {
  readonly #options: LookupDoorOptions;
  readonly #lookups: ScrapedCounts<{ outcome: string }>;
  readonly #layers: ScrapedCounts<{ kind: string; reason: string }>;
  readonly #shed: ScrapedCounts<{ cause: string }>;
  #closed = false;

  constructor(options: LookupDoorOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#lookups = new ScrapedCounts<{ outcome: string }>(metrics, metrics.lookups);
    this.#layers = new ScrapedCounts<{ kind: string; reason: string }>(metrics, metrics.lookupLayers);
    this.#shed = new ScrapedCounts<{ cause: string }>(metrics, metrics.lookupsShed);
  }

  /** Stands before everything else that listens to that server's requests. */
  standBefore(server: Server): void {
    const listeners = server.listeners('request') as RequestListener[];
    const goOn: RequestListener = (request, response) => {
      for (const listener of listeners) listener.call(server, request, response);
    };
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#take(request, response, goOn));
  }

  /** From now on everything goes on to the framework, which ends connections while it closes. */
  close(): void {
    this.#closed = true;
  }

  #take(request: IncomingMessage, response: ServerResponse, goOn: RequestListener): void {
    const startedAt = performance.now();
    if (!this.#closed && request.url?.startsWith(MOUNT_PATHS) === true) {
      this.#options.line.stand({ give: () => goOn(request, response), isUnwanted: () => request.socket.destroyed });
      return;
    }
    const length = this.#closed ? undefined : plainLength(request);
    const verdict = length === undefined ? undefined : this.#options.book.check(request.headers.authorization, 'lookup');
    if (length === undefined || verdict?.kind !== 'allowed') {
      goOn(request, response);
      return;
    }
    const read = (): boolean => {
      const body = request.read(length) as Buffer | null;
      if (body === null) return false;
      this.#answer({ request, response, body, caller: verdict.caller, startedAt, goOn: () => goOn(request, response) }, body.length === length);
      return true;
    };
    // A small body mostly comes with its headers, and is there after this turn: then nothing has to wait for it.
    process.nextTick(() => {
      if (!read()) this.#await(request, response, read);
    });
  }

  #await(request: IncomingMessage, response: ServerResponse, read: () => boolean): void {
    limitBody(request, response, this.#options.bodyWithinMs);
    const again = (): void => {
      if (read()) request.off('readable', again);
    };
    request.on('readable', again);
  }

  #answer(open: OpenLookup, isWhole: boolean): void {
    const { body, caller } = open;
    const asked = isWhole ? readPlainLookup(body.toString('latin1')) : undefined;
    const written = asked === undefined || !covers(caller, asked) ? undefined : this.#options.lookup.written(asked, contextOf(asked));
    if (written !== undefined) {
      writePieces(open.response, written.pieces);
      this.#count(written.tally, open.startedAt);
      return;
    }
    // Before this turn ends: a body of which nothing is left is one that has ended.
    open.request.unshift(body);
    if (!isWhole) open.goOn();
    else if (this.#options.load.isLoaded) this.#giveLess(open, 'loop');
    else this.#options.line.stand({ give: () => this.#workOut(open), giveLess: () => this.#giveLess(open, 'line'), isUnwanted: () => open.request.socket.destroyed });
  }

  #giveLess(open: OpenLookup, cause: 'line' | 'loop'): void {
    if (this.#workOut(open, 'SERVICE_BUSY')) this.#shed.count(cause, { cause }, 1);
  }

  /** @returns false when it is not as the contract says, or not for this caller, and was handed on. */
  #workOut(open: OpenLookup, onlyBlobs?: PullReason): boolean {
    const asked = readLookup(open.body);
    if (asked === undefined || !covers(open.caller, asked)) {
      open.goOn();
      return false;
    }
    const { client: _, ...lookup } = asked;
    const answer = this.#options.lookup.lookup({ ...lookup, onlyBlobs }, contextOf(asked));
    const text = Buffer.from(JSON.stringify(answer));
    open.response.writeHead(200, ['content-type', 'application/json; charset=utf-8', 'content-length', String(text.length)]);
    open.response.end(text);
    this.#count(answer.layers.map((layer) => ({ kind: layer.kind, reason: layer.kind === 'blob' ? layer.reason : '', count: 1 })), open.startedAt);
    return true;
  }

  #count(tally: readonly LayerTally[], startedAt: number): void {
    this.#lookups.count('ok', ANSWERED, 1);
    for (const each of tally) this.#layers.count(each.reason, { kind: each.kind, reason: each.reason }, each.count);
    this.#options.metrics.lookupSeconds.observe((performance.now() - startedAt) / 1000);
  }
}

const ANSWERED = { outcome: 'ok' } as const;

function contextOf({ client }: { readonly client?: string | undefined }): { readonly client?: string } {
  return client === undefined ? {} : { client: clientHash(client) };
}

/** @returns undefined for what the framework has to refuse. */
function readLookup(body: Buffer): LookupBody | undefined {
  try {
    return LookupBody.safeParse(JSON.parse(body.toString())).data;
  } catch {
    // No JSON: the framework says where it ends to be some.
    return undefined;
  }
}

/** All pieces are sent by one call. Put together in one text they would be copied twice, and be most of what is searched for garbage. */
function writePieces(response: ServerResponse, { opening, rest, closing }: AnswerPieces): void {
  response.writeHead(200, ['content-type', 'application/json; charset=utf-8', 'content-length', String(opening.length + rest.byteLength + closing.length)]);
  response.write(opening, 'latin1');
  response.write(rest);
  response.end(closing, 'latin1');
}

/** How long the body is; undefined when the request is for the framework whatever the body. */
function plainLength(request: IncomingMessage): number | undefined {
  const { method, url, headers } = request;
  if (method !== 'POST' || url !== PATH || !JSON_TYPES.has(headers['content-type'])) return undefined;
  // What is there twice is refused behind the door.
  if (isDoubled(request)) return undefined;
  if (headers['transfer-encoding'] !== undefined || headers['content-encoding'] !== undefined) return undefined;
  const length = Number(headers['content-length']);
  return length > 0 && length <= PLAIN_BODY_BYTES_MAX ? length : undefined;
}
