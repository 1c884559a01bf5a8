import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

import { type Dispatcher, request } from 'undici';

import { type Clock, parseRetryAfterMs } from '#clock';

import { RegistryError, type RegistryErrorCode } from '../registry-error.js';
import { REDIRECTS_MAX, SMALL_BODY_BYTES_MAX } from './registry-limits.js';

/** One HTTP request that reads. */
export interface Ask {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body must be read or dumped. */
export interface Answer {
  /** Who answered: another URL than was asked after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable & { dump(): Promise<void> };
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a request and follows its redirects. The `Authorization` header stays with the origin for which it was made; https never becomes http.
 * @throws {RegistryError} `REGISTRY_UNAVAILABLE` (transient) when no answer comes; `REGISTRY_PROTOCOL` on a bad redirect.
 */
export async function send(dispatcher: Dispatcher, ask: Ask): Promise<Answer> {
  let { url } = ask;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const answer = await sendOnce(dispatcher, { ...ask, url, headers: url.origin === ask.url.origin ? ask.headers : withoutAuthorization(ask.headers) });
    if (!REDIRECTS.has(answer.status)) return answer;
    await answer.body.dump();
    url = redirectTarget(url, answer.headers['location']);
  }
  throw new RegistryError('REGISTRY_PROTOCOL', `${describe(ask)} was redirected more than ${REDIRECTS_MAX} times`);
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

async function sendOnce(dispatcher: Dispatcher, ask: Ask): Promise<Answer> {
  try {
    const { statusCode, headers, body } = await request(ask.url, { dispatcher, method: ask.method, headers: ask.headers, signal: ask.signal ?? null });
    // Whoever reads the body hears of its failure; one that is left unread must not end the process.
    body.on('error', () => undefined);
    return { url: ask.url, status: statusCode, headers, body };
  } catch (cause) {
    ask.signal?.throwIfAborted();
    throw unavailable(ask, cause);
  }
}

/** The error for a connection that did not open, was cut, or stood still. */
export function unavailable(ask: Pick<Ask, 'method' | 'url'>, cause: unknown): RegistryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RegistryError('REGISTRY_UNAVAILABLE', `${describe(ask)} got no whole answer: ${reason}`, { cause, transient: true });
}

function redirectTarget(from: URL, location: string | string[] | undefined): URL {
  const target = typeof location === 'string' && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const allowed = target?.protocol === 'https:' || (target?.protocol === 'http:' && from.protocol === 'http:');
  if (target === undefined || !allowed) throw new RegistryError('REGISTRY_PROTOCOL', `${from.origin} redirected to nowhere that may be followed`);
  return target;
}

/** Method, host and path, for messages: a query may hold a signature. */
export function describe(ask: Pick<Ask, 'method' | 'url'>): string {
  return `${ask.method} ${ask.url.origin}${ask.url.pathname}`;
}

/**
 * Reads a whole body into memory.
 * @throws {RegistryError} `RESPONSE_TOO_LARGE` as soon as it is longer than `bytesMax`; `REGISTRY_UNAVAILABLE` when it is cut.
 */
export async function readBounded(ask: Ask, answer: Answer, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let seenBytes = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      seenBytes += chunk.length;
      if (seenBytes > bytesMax) throw new RegistryError('RESPONSE_TOO_LARGE', `${describe(ask)} answered more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    ask.signal?.throwIfAborted();
    throw cause instanceof RegistryError ? cause : unavailable(ask, cause);
  }
  return Buffer.concat(chunks);
}

/**
 * Turns an answer that is no success into an error; `missing` is what a 404 means for what was asked. A 404 with a body that does not say so is not the
 * registry's word: a proxy in front of it that knows no such route says the same, and what is recorded must not be forgotten for that. Reads the body.
 */
export async function errorOf(ask: Ask, answer: Answer, context: { readonly missing: RegistryErrorCode; readonly clock: Clock }): Promise<RegistryError> {
  const told = await errorCodesOf(ask, answer);
  const { status } = answer;
  const retryAfterMs = parseRetryAfterMs(header(answer, 'retry-after'), context.clock.now());
  const message = `${describe(ask)} answered ${status}${told.length === 0 ? '' : ` (${told.join(', ')})`}`;
  const make = (code: RegistryErrorCode, transient = false): RegistryError =>
    new RegistryError(code, message, { transient, retryAfterMs, details: { status, method: ask.method, path: ask.url.pathname } });
  if (status === 401) return make('UNAUTHORIZED');
  if (status === 403) return make('DENIED');
  if (status === 404 && ask.method !== 'HEAD' && !told.some((code) => ABSENT.has(code))) return make('REGISTRY_UNAVAILABLE', true);
  if (status === 404) return make(told.includes('NAME_UNKNOWN') ? 'NAME_UNKNOWN' : context.missing);
  if (status === 429) return make('TOO_MANY_REQUESTS', true);
  if (status === 408 || status >= 500) return make('REGISTRY_UNAVAILABLE', true);
  return make('REGISTRY_PROTOCOL');
}

/** Codes by which registries say that something is not there; Harbor's is the last. */
const ABSENT: ReadonlySet<string> = new Set(['NAME_UNKNOWN', 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NOT_FOUND']);
const CODE = /^[A-Z_]{1,64}$/;

/** The codes of an error body (distribution-spec 1.1, "Error Codes"); empty when it is none. */
async function errorCodesOf(ask: Ask, answer: Answer): Promise<string[]> {
  try {
    const parsed = JSON.parse((await readBounded(ask, answer, SMALL_BODY_BYTES_MAX)).toString()) as { errors?: { code?: unknown }[] };
    if (!Array.isArray(parsed?.errors)) return [];
    return parsed.errors.slice(0, 5).map((error) => String(error?.code)).filter((code) => CODE.test(code));
  } catch {
    // The status alone decides: a body that is cut, too long or no JSON adds nothing to it.
    ask.signal?.throwIfAborted();
    return [];
  }
}

/** One header of an answer; the first where there are several. */
export function header(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
