import { SECOND_MS } from '#quantities';
import type { ByteRange } from '#shares';
import { Agent, type Dispatcher, errors, request } from 'undici';

import { authenticate } from './access/authenticate.js';
import { checkGrant, type Grant, type Requirement } from './access/grant.js';
import { type Address, parseAddress } from './address.js';
import { AzureFilesError, invalidHeader } from './azure-error.js';
import type { EmulatedAccount } from './emulator-options.js';
import type { ShareCatalogue } from './storage/share-catalogue.js';
import type { TrafficMeter } from './traffic.js';

/** The longest URL of a copy source (Azure: 2 KiB). */
const URL_CHARACTERS_MAX = 2048;
/** Connections to one foreign source at a time; more copies wait for one. */
const CONNECTIONS_MAX = 64;
/** How long a foreign source may take to connect, to answer, and between two parts of its answer. */
const SOURCE_TIMEOUT_MS = 20 * SECOND_MS;

/** The parts of an emulator from which a copy within it reads. */
export interface OwnShares {
  readonly accounts: ReadonlyMap<string, EmulatedAccount>;
  readonly catalogues: ReadonlyMap<string, ShareCatalogue>;
  readonly traffic: TrafficMeter;
  /** `host:port` under which this emulator is reached. */
  readonly hosts: () => readonly string[];
}

/** Who renames, and where to. */
export interface Renaming {
  readonly grant: Grant;
  readonly account: string;
  readonly share: string;
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
   * Reads exactly `range` of the source into `bytes`, which is as long.
   * @throws {AzureFilesError} `CannotVerifyCopySource` with the source's own status and code.
   */
  async read(sourceUrl: string, range: ByteRange, bytes: Buffer): Promise<void> {
    const url = parseSourceUrl('x-ms-copy-source', sourceUrl);
    await (this.#isOwn(url) ? this.#readOwn(url, range, bytes) : this.#fetch(url, range, bytes));
  }

  /**
   * The path of the file that a rename moves; it must be on the share that the request is for.
   * A source with a signature of its own is checked by that, any other by the request's grant.
   */
  renameSource(sourceUrl: string, renaming: Renaming): string {
    const url = parseSourceUrl('x-ms-file-rename-source', sourceUrl);
    const address = ownAddress(url);
    if (address.account !== renaming.account || address.share !== renaming.share || address.path === '') throw invalidHeader('x-ms-file-rename-source', url.pathname);
    const needs: Requirement = { level: 'o', anyOf: 'd' };
    if (url.searchParams.has('sig')) this.#check(address, needs);
    // A grant for one file is for the target: it says nothing about the source.
    else if (renaming.grant.kind === 'service-sas' && renaming.grant.resource === 'f') throw new AzureFilesError('AuthorizationFailure');
    else checkGrant(renaming.grant, needs);
    return address.path;
  }

  /** Ends the connections to foreign sources. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #isOwn(url: URL): boolean {
    return url.protocol === 'http:' && this.#own.hosts().includes(url.host);
  }

  async #readOwn(url: URL, range: ByteRange, bytes: Buffer): Promise<void> {
    try {
      const address = ownAddress(url);
      this.#check(address, { level: 'o', anyOf: 'r' });
      const catalogue = this.#own.catalogues.get(address.account);
      if (catalogue === undefined) throw new AzureFilesError('ResourceNotFound');
      await catalogue.get(address.share ?? '').folder.read(address.path, range.offset, bytes);
      this.#own.traffic.add(address.account, 'copyOutBytes', bytes.length);
    } catch (error) {
      if (error instanceof AzureFilesError) throw sourceFailure(error.status, error.code, error.message, error);
      throw error;
    }
  }

  #check(address: Address, needs: Requirement): void {
    const head = { method: 'GET', address, headers: new Map<string, string>(), remoteAddress: '127.0.0.1', secure: false };
    checkGrant(authenticate(head, this.#own.accounts, new Date()), needs);
  }

  async #fetch(url: URL, range: ByteRange, bytes: Buffer): Promise<void> {
    const asked = `bytes=${range.offset}-${range.offset + range.length - 1}`;
    try {
      const answer = await request(url, { dispatcher: this.#agent, headers: { range: asked, 'x-ms-range': asked, 'accept-encoding': 'identity' } });
      await readAnswer(answer, range, bytes);
    } catch (error) {
      if (error instanceof AzureFilesError) throw error;
      const timedOut = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError || error instanceof errors.ConnectTimeoutError;
      throw sourceFailure(500, timedOut ? 'OperationTimedOut' : 'InternalError', 'Could not verify the copy source within the specified time.', error);
    }
  }
}

async function readAnswer(answer: Dispatcher.ResponseData, range: ByteRange, bytes: Buffer): Promise<void> {
  const { statusCode, headers, body } = answer;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const whole = statusCode === 206 || (statusCode === 200 && range.offset === 0);
  if (!whole || length !== range.length) {
    body.on('error', () => undefined).destroy();
    if (whole) throw sourceFailure(416, 'InvalidRange', 'The range specified is invalid for the current size of the resource.');
    const code = String(headers['x-ms-error-code'] ?? (statusCode >= 500 ? 'InternalError' : 'InvalidInput'));
    throw sourceFailure(statusCode >= 400 ? statusCode : 400, code, `The copy source answered ${statusCode}.`);
  }
  let received = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) received += chunk.copy(bytes, received);
  if (received !== length) throw sourceFailure(500, 'InternalError', 'The copy source ended too early.');
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

function ownAddress(url: URL): Address {
  return parseAddress(url.pathname + url.search, { keepTrailingDots: false });
}
