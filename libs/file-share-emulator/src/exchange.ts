import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { type Address, parseAddress } from './address.js';
import { AzureFilesError, invalidHeader } from './azure-error.js';

/** The first service version whose requests are understood. */
const VERSION_MIN = '2019-02-02';
const VERSION = /^\d{4}-\d{2}-\d{2}$/;
/** The server's name as the real service gives it. */
const SERVER = 'Windows-Azure-File/1.0 Microsoft-HTTPAPI/2.0';
const CLIENT_REQUEST_ID_CHARACTERS_MAX = 1024;

/** Headers of an answer; absent ones are left out. */
export type AnswerHeaders = Readonly<Record<string, string | number | undefined>>;

/** A request in a form that both a connection and a copy within this service can bring. */
export interface RequestHead {
  readonly method: string;
  readonly address: Address;
  /** By lower-case name; values as sent. */
  readonly headers: ReadonlyMap<string, string>;
  readonly remoteAddress: string;
  readonly secure: boolean;
}

/** One request and its answer. */
export class Exchange {
  readonly requestId = randomUUID();
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: ReadonlyMap<string, string>;
  #head: RequestHead | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.headers = new Map(Object.entries(request.headersDistinct).map(([name, values]) => [name, (values ?? []).join(',')]));
  }

  /** The request's method, address and origin. @throws {AzureFilesError} where they cannot be read. */
  get head(): RequestHead {
    this.#head ??= {
      method: this.request.method ?? '',
      address: parseAddress(this.request.url ?? '', {
        keepTrailingDots: this.headers.get('x-ms-allow-trailing-dot') === 'true',
        host: this.headers.get('host'),
        renameSource: this.headers.get('x-ms-file-rename-source'),
      }),
      headers: this.headers,
      remoteAddress: (this.request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
      secure: 'encrypted' in this.request.socket,
    };
    return this.#head;
  }

  /** A header of the request. */
  header(name: string): string | undefined {
    return this.headers.get(name);
  }

  /** A header that must be there. */
  requiredHeader(name: string): string {
    const value = this.header(name);
    if (value === undefined) throw new AzureFilesError('MissingRequiredHeader', { elements: { HeaderName: name } });
    return value;
  }

  /** True for a header that says `true`; its absence says the contrary. */
  flag(name: string): boolean {
    const value = this.header(name)?.toLowerCase();
    if (value !== undefined && value !== 'true' && value !== 'false') throw invalidHeader(name, value);
    return value === 'true';
  }

  /** A query parameter of the request. */
  query(name: string): string | undefined {
    return this.head.address.query.get(name);
  }

  /** @throws {AzureFilesError} `InvalidHeaderValue` for a version that is too old or none at all. */
  checkVersion(): void {
    const version = this.header('x-ms-version') ?? this.query('sv');
    if (version === undefined || !VERSION.test(version) || version < VERSION_MIN) throw invalidHeader('x-ms-version', version);
  }

  /** Answers with a body that is in memory, or none. */
  reply(status: number, headers: AnswerHeaders, body?: Buffer | string): void {
    this.open(status, { ...headers, 'content-length': headers['content-length'] ?? Buffer.byteLength(body ?? '') });
    this.response.end(body);
  }

  /** Answers with a document. */
  replyXml(status: number, headers: AnswerHeaders, xml: string): void {
    this.reply(status, { 'content-type': 'application/xml', ...headers }, xml);
  }

  /** Sets the head of an answer; it goes out with the first byte of the body. */
  open(status: number, headers: AnswerHeaders): void {
    const { response } = this;
    response.statusCode = status;
    for (const [name, value] of Object.entries({ ...this.#commonHeaders(), ...headers })) if (value !== undefined) response.setHeader(name, value);
  }

  /** Answers with an error; where the answer has begun already, the connection is cut so that the client sees it is not whole. */
  fail(error: AzureFilesError): void {
    if (this.response.headersSent) {
      this.response.destroy();
      return;
    }
    const headers = { 'x-ms-error-code': error.code, ...error.headers };
    // What is left of the body is not read: the connection cannot be used again.
    const hasBody = this.headers.has('transfer-encoding') || (this.headers.get('content-length') ?? '0') !== '0';
    if (hasBody && !this.request.complete) this.response.setHeader('connection', 'close');
    if (this.request.method === 'HEAD') this.reply(error.status, headers);
    else this.replyXml(error.status, headers, error.toXml(this.requestId, new Date()));
  }

  /** Cuts the connection on purpose. @throws {AzureFilesError} always: the request ends here. */
  cut(): never {
    this.request.socket.resetAndDestroy();
    throw new AzureFilesError('InternalError', { message: 'The connection was cut on purpose.' });
  }

  #commonHeaders(): AnswerHeaders {
    const clientRequestId = this.header('x-ms-client-request-id');
    return {
      server: SERVER,
      'x-ms-request-id': this.requestId,
      'x-ms-version': this.header('x-ms-version') ?? VERSION_MIN,
      'x-ms-client-request-id': (clientRequestId?.length ?? 0) > CLIENT_REQUEST_ID_CHARACTERS_MAX ? undefined : clientRequestId,
    };
  }
}
