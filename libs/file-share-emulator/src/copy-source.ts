import { SECOND_MS } from '#quantities';
import type { ByteRange } from '#shares';
import { Agent, type Dispatcher, errors, request } from 'undici';

import type { Access } from './access/access.js';
import { authenticate } from './access/authenticate.js';
import { checkGrant, type Grant, type Requirement } from './access/grant.js';
import { accountOfHost, type Address, parseAddress } from './address.js';
import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { Disturbances } from './control/disturbances.js';
import { Line } from './control/line.js';
import type { EmulatedAccount } from './emulator-options.js';
import type { RequestHead } from './exchange.js';
import type { Entry } from './storage/entry.js';
import type { ContentHeaders } from './storage/file-record.js';
import { DEFAULT_CONTENT } from './storage/file-record.js';
import type { ShareCatalogue } from './storage/share-catalogue.js';
import type { ShareFolder } from './storage/share-folder.js';
import type { TrafficMeter } from './traffic.js';

/** The longest URL of a copy source (Azure: 2 KiB). */
const URL_CHARACTERS_MAX = 2048;
/** Connections to one foreign source at a time; more copies wait for one. */
const CONNECTIONS_MAX = 64;
/** How long a foreign source may take to connect, to answer, and between two parts of its answer. */
const SOURCE_TIMEOUT_MS = 20 * SECOND_MS;
/** The version in which a source is asked, here and elsewhere. */
const SOURCE_VERSION = '2025-07-05';

/** The parts of an emulator from which a copy within it reads. */
export interface OwnShares {
  readonly access: Access;
  readonly catalogues: ReadonlyMap<string, ShareCatalogue>;
  readonly traffic: TrafficMeter;
  readonly disturbances: Disturbances;
  /** `http://host:port` and `https://host:port` under which this emulator is reached; in host style with any host of its accounts. */
  readonly origins: () => readonly string[];
}

/** A source as a request names it, and where its bytes are to go. */
export interface CopySource {
  readonly url: string;
  /** `x-ms-copy-source-authorization`: a token for the source. */
  readonly authorization?: string | undefined;
  readonly keepTrailingDots: boolean;
  /** The account in which a source needs no credential of its own: the one that the request itself is allowed for. */
  readonly trustedAccount?: string | undefined;
  readonly target: { readonly account: EmulatedAccount; readonly line: Line };
}

/** What a source is, before anything of it is read. */
export interface SourceDescription {
  readonly sizeBytes: number;
  readonly content: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  /** The parts to be read; everything else is zero. */
  readonly ranges: readonly ByteRange[];
  /** The account it is in; absent for one that is elsewhere. */
  readonly account?: string;
  /** Absent for one that is elsewhere. */
  readonly entry?: Entry;
}

/** Bytes of a source that are here to be looked at, and still travel. */
export interface Arriving {
  /** Settles when the last of them is through all limits. Never fails. */
  readonly arrival: Promise<unknown>;
}

/** Who renames, and where to. */
export interface Renaming {
  readonly grant: Grant;
  readonly account: string;
  readonly share: string;
  readonly head: RequestHead;
  readonly keepTrailingDots: boolean;
}

/**
 * Reads what `x-ms-copy-source` names. A source on this same emulator is read from its folder, after the same checks as if it
 * had come over the network; any other is fetched over HTTP. Redirects are not followed.
 */
export class CopySourceReader {
  readonly #own: OwnShares;
  readonly #agent = new Agent({ connections: CONNECTIONS_MAX, connect: { timeout: SOURCE_TIMEOUT_MS }, headersTimeout: SOURCE_TIMEOUT_MS, bodyTimeout: SOURCE_TIMEOUT_MS });

  constructor(own: OwnShares) {
    this.#own = own;
  }

  /**
   * Reads exactly `range` of the source into `bytes`, which is as long. A source on this emulator is read while its bytes travel, as one that sends what it has
   * read: whoever answers for them waits for `arrival`, and may compute what it needs of them meanwhile.
   * @throws {AzureFilesError} `CannotVerifyCopySource` with the source's own status and code.
   */
  async read(source: CopySource, range: ByteRange, bytes: Buffer): Promise<Arriving> {
    const url = parseSourceUrl('x-ms-copy-source', source.url);
    const { line, account } = source.target;
    if (line.strike('source-expired') !== undefined) throw sourceFailure(403, 'AuthenticationFailed', 'Signature not valid in the specified time frame.');
    const arriving = this.#isOwn(url) ? await passingOn(() => this.#readOwn(url, source, { range, bytes, to: account.region })) : await this.#fetch(url, source, { range, bytes });
    line.disturb(bytes);
    return arriving;
  }

  /** What the source is. @throws {AzureFilesError} as {@link read}. */
  async describe(source: CopySource): Promise<SourceDescription> {
    const url = parseSourceUrl('x-ms-copy-source', source.url);
    if (!this.#isOwn(url)) return this.#describeForeign(url, source);
    return passingOn(async () => {
      const { address, folder } = this.#open(url, source);
      const entry = await folder.find(address.path);
      if (entry?.kind !== 'file') throw new AzureFilesError('ResourceNotFound');
      const { content, metadata } = entry.record.header;
      const ranges = entry.record.written.within({ offset: 0, length: entry.sizeBytes });
      return { sizeBytes: entry.sizeBytes, content, metadata, ranges, account: address.account, entry };
    });
  }

  /**
   * The path of what a rename moves; it must be on the share that the request is for.
   * A source with a signature of its own is checked by that, any other by the request's grant.
   */
  renameSource(sourceUrl: string, { grant, account, share, head, keepTrailingDots }: Renaming): string {
    const url = parseSourceUrl('x-ms-file-rename-source', sourceUrl);
    const address = addressOf(url, keepTrailingDots);
    if (address.account !== account || address.share !== share || address.path === '') throw invalidHeader('x-ms-file-rename-source', url.pathname);
    const needs: Requirement = { level: 'o', anyOf: 'd' };
    if (url.searchParams.has('sig')) checkGrant(authenticate({ ...head, address, headers: new Map() }, this.#own.access, new Date()), needs);
    // A grant for one file is for the target: it says nothing about the source.
    else if (grant.kind === 'service-sas' && grant.resource === 'f') throw new AzureFilesError('AuthorizationFailure');
    else checkGrant(grant, needs);
    return address.path;
  }

  /** Ends the connections to foreign sources. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #isOwn(url: URL): boolean {
    if (this.#own.origins().includes(url.origin)) return true;
    const account = accountOfHost(url.host);
    const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
    return account !== undefined && this.#own.access.accounts.has(account) && this.#own.origins().some((origin) => origin.startsWith(url.protocol) && origin.endsWith(`:${port}`));
  }

  /** Finds a source on this emulator, after the checks that a request for it would have to pass. */
  #open(url: URL, { authorization, keepTrailingDots, trustedAccount }: CopySource): { readonly address: Address; readonly folder: ShareFolder } {
    const address = addressOf(url, keepTrailingDots);
    const headers = new Map([['x-ms-version', SOURCE_VERSION], ['x-ms-file-request-intent', 'backup']]);
    if (authorization !== undefined) headers.set('authorization', authorization);
    const head = { method: 'GET', address, headers, remoteAddress: '127.0.0.1', secure: url.protocol === 'https:' };
    const isTrusted = address.account === trustedAccount && authorization === undefined && !address.query.has('sig');
    if (!isTrusted) checkGrant(authenticate(head, this.#own.access, new Date()), { level: 'o', anyOf: 'r' });
    const catalogue = this.#own.catalogues.get(address.account);
    if (catalogue === undefined || address.share === undefined) throw new AzureFilesError('ResourceNotFound');
    const share = catalogue.get(address.share);
    const stamp = address.query.get('sharesnapshot');
    return { address, folder: stamp === undefined ? share.folder : share.snapshots.get(stamp).folder };
  }

  async #readOwn(url: URL, source: CopySource, { range, bytes, to }: { readonly range: ByteRange; readonly bytes: Buffer; readonly to: string | undefined }): Promise<Arriving> {
    const { address, folder } = this.#open(url, source);
    const { disturbances, access, traffic } = this.#own;
    const line = new Line(disturbances, { account: address.account, share: address.share, operation: 'Get File' });
    const arrival = Promise.all([line.carry(bytes.length), disturbances.copy({ from: access.accounts.get(address.account)?.region, to }, bytes.length)]);
    await folder.read(address.path, range.offset, bytes);
    return { arrival: arrival.then(() => traffic.add(address.account, 'copyOutBytes', bytes.length)) };
  }

  async #fetch(url: URL, source: CopySource, { range, bytes }: { readonly range: ByteRange; readonly bytes: Buffer }): Promise<Arriving> {
    const asked = `bytes=${range.offset}-${range.offset + range.length - 1}`;
    await this.#ask({ url, method: 'GET', headers: { ...foreignHeaders(source), range: asked, 'x-ms-range': asked } }, (answer) => readAnswer(answer, range, bytes));
    return { arrival: Promise.resolve() };
  }

  async #describeForeign(url: URL, source: CopySource): Promise<SourceDescription> {
    return this.#ask({ url, method: 'HEAD', headers: foreignHeaders(source) }, async ({ statusCode, headers, body }) => {
      await body.dump();
      const sizeBytes = Number(headers['content-length'] ?? Number.NaN);
      if (statusCode !== 200 || !Number.isSafeInteger(sizeBytes)) throw refusedBySource(statusCode, headers);
      const type = headers['content-type'];
      const content = typeof type === 'string' ? { type } : DEFAULT_CONTENT;
      const metadata = Object.entries(headers).flatMap(([name, value]) => (name.startsWith('x-ms-meta-') && typeof value === 'string' ? [[name.slice(10), value] as const] : []));
      return { sizeBytes, content, metadata: Object.fromEntries(metadata), ranges: sizeBytes === 0 ? [] : [{ offset: 0, length: sizeBytes }] };
    });
  }

  async #ask<T>({ url, ...options }: { readonly url: URL; readonly method: 'GET' | 'HEAD'; readonly headers: Record<string, string> }, use: (answer: Dispatcher.ResponseData) => Promise<T>): Promise<T> {
    try {
      return await use(await request(url, { dispatcher: this.#agent, ...options }));
    } catch (error) {
      if (error instanceof AzureFilesError) throw error;
      const timedOut = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError || error instanceof errors.ConnectTimeoutError;
      throw sourceFailure(500, timedOut ? 'OperationTimedOut' : 'InternalError', 'Could not verify the copy source within the specified time.', error);
    }
  }
}

async function passingOn<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AzureFilesError) throw sourceFailure(error.status, error.code, error.message, error);
    throw error;
  }
}

function foreignHeaders({ authorization }: CopySource): Record<string, string> {
  const token = authorization === undefined ? {} : { authorization, 'x-ms-version': SOURCE_VERSION, 'x-ms-file-request-intent': 'backup' };
  return { 'accept-encoding': 'identity', ...token };
}

async function readAnswer(answer: Dispatcher.ResponseData, range: ByteRange, bytes: Buffer): Promise<void> {
  const { statusCode, headers, body } = answer;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const whole = statusCode === 206 || (statusCode === 200 && range.offset === 0);
  if (!whole || length !== range.length) {
    body.on('error', () => undefined).destroy();
    if (whole) throw sourceFailure(416, 'InvalidRange', 'The range specified is invalid for the current size of the resource.');
    throw refusedBySource(statusCode, headers);
  }
  let received = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) received += chunk.copy(bytes, received);
  if (received !== length) throw sourceFailure(500, 'InternalError', 'The copy source ended too early.');
}

function refusedBySource(statusCode: number, headers: Dispatcher.ResponseData['headers']): AzureFilesError {
  const code = String(headers['x-ms-error-code'] ?? (statusCode >= 500 ? 'InternalError' : 'InvalidInput'));
  return sourceFailure(statusCode >= 400 ? statusCode : 400, code, `The copy source answered ${statusCode}.`);
}

/** The answer to a copy whose source failed: the source's status, and its code in headers and elements of their own. */
function sourceFailure(status: number, code: string, message: string, cause?: unknown): AzureFilesError {
  return new AzureFilesError('CannotVerifyCopySource', {
    status,
    message,
    cause,
    headers: { 'x-ms-copy-source-error-code': code, 'x-ms-copy-source-status-code': String(status) },
    elements: { CopySourceStatusCode: String(status), CopySourceErrorCode: code, CopySourceErrorMessage: message },
  });
}

function parseSourceUrl(header: string, text: string): URL {
  const url = text.length <= URL_CHARACTERS_MAX ? URL.parse(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '') throw invalidHeader(header, text.split('?')[0]);
  return url;
}

function addressOf(url: URL, keepTrailingDots: boolean): Address {
  return parseAddress(url.pathname + url.search, { keepTrailingDots, host: url.host });
}
