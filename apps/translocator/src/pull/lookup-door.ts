import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

import { covers, type TokenBook } from '#access';
import type { AnswerPieces, Lookup, WrittenAnswer } from '#mounts';
import { KiB } from '#quantities';
import type { Metrics } from '#telemetry';

import { limitBody } from '../http/body-deadline.js';
import { isDoubled } from '../http/plain-requests.js';
import { clientHash } from './pull-telemetry.js';
import { readPlainLookup } from './plain-lookup.js';
import { ScrapedCounts } from './scraped-counts.js';

/** Bodies up to this many bytes are looked at here: a lookup of 800 layers. */
export const PLAIN_BODY_BYTES_MAX = 64 * KiB;
const PATH = '/v1/lookup';
const JSON_TYPES: ReadonlySet<string | undefined> = new Set(['application/json', 'application/json; charset=utf-8', 'application/json;charset=utf-8']);

/** What a {@link LookupDoor} is made with. */
export interface LookupDoorOptions {
  readonly lookup: Pick<Lookup, 'written'>;
  readonly book: Pick<TokenBook, 'check'>;
  readonly metrics: Metrics;
  /** How long a body may take, in milliseconds; a slower one is answered with 408. */
  readonly bodyWithinMs: number;
}

/**
 * The short way for `POST /v1/lookup`: before the framework, plain lookups with a good token are answered by bytes that are written already. Everything else goes on to the
 * framework as it came, with its body unread again, and is checked, answered or refused there: this door never refuses anything.
 */
export class LookupDoor {
  readonly #options: LookupDoorOptions;
  readonly #lookups: ScrapedCounts<{ outcome: string }>;
  readonly #layers: ScrapedCounts<{ kind: string; reason: string }>;
  #closed = false;

  constructor(options: LookupDoorOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#lookups = new ScrapedCounts<{ outcome: string }>(metrics, metrics.lookups);
    this.#layers = new ScrapedCounts<{ kind: string; reason: string }>(metrics, metrics.lookupLayers);
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
    const length = this.#closed ? undefined : plainLength(request);
    const verdict = length === undefined ? undefined : this.#options.book.check(request.headers.authorization, 'lookup');
    if (length === undefined || verdict?.kind !== 'allowed') {
      goOn(request, response);
      return;
    }
    const read = (): boolean => {
      const body = request.read(length) as Buffer | null;
      if (body === null) return false;
      const answer = body.length === length ? this.#answer(body, verdict.caller) : undefined;
      if (answer === undefined) {
        request.unshift(body);
        goOn(request, response);
        return true;
      }
      writePieces(response, answer.pieces);
      this.#count(answer, startedAt);
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

  #answer(body: Buffer, caller: Parameters<typeof covers>[0]): WrittenAnswer | undefined {
    const asked = readPlainLookup(body.toString('latin1'));
    if (asked === undefined || !covers(caller, asked)) return undefined;
    return this.#options.lookup.written(asked, asked.client === undefined ? {} : { client: clientHash(asked.client) });
  }

  #count({ tally }: WrittenAnswer, startedAt: number): void {
    this.#lookups.count('ok', ANSWERED, 1);
    for (const each of tally) this.#layers.count(each.reason, { kind: each.kind, reason: each.reason }, each.count);
    this.#options.metrics.lookupSeconds.observe((performance.now() - startedAt) / 1000);
  }
}

const ANSWERED = { outcome: 'ok' } as const;

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
