import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

import { LOOPBACK_CERTIFICATE } from './loopback-certificate.js';

/** A user delegation key as the front gave it out. */
export interface GivenKey {
  readonly startsOn: string;
  readonly expiresOn: string;
  readonly value: string;
}

/** What an {@link IdentityFront} stands before. */
export interface IdentityFrontOptions {
  readonly behindPort: number;
  readonly account: string;
  /** A query that opens everything behind: an account's signature. */
  readonly openAll: string;
}

const VERSION = '2026-04-06';
const ACCEPTED_LATENESS_MS = 1000;

/**
 * What Azure does with identities, before a server that knows keys and signatures only: HTTPS on loopback; bearer tokens with their request intent;
 * user delegation keys; and signatures made with these, checked by the text that Azure documents.
 */
export class IdentityFront {
  /** Tokens that are let in. */
  readonly tokens = new Set<string>();
  /** Keys given out so far. */
  readonly keys: GivenKey[] = [];
  /** Whether keys are refused, as to an identity without that role. */
  refusesKeys = false;
  readonly #options: IdentityFrontOptions;
  readonly #server: Server;

  private constructor(options: IdentityFrontOptions) {
    this.#options = options;
    this.#server = createServer(LOOPBACK_CERTIFICATE, (incoming, outgoing) => this.#answer(incoming, outgoing));
  }

  /** Starts one; whoever talks to it must trust {@link LOOPBACK_CERTIFICATE}. */
  static async start(options: IdentityFrontOptions): Promise<IdentityFront> {
    const front = new IdentityFront(options);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  /** `https://127.0.0.1:…`, without a slash at the end. */
  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts what is under way, and ends. */
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const url = new URL(incoming.url ?? '', this.url);
    const isForKey = url.searchParams.get('comp') === 'userdelegationkey';
    const refusal = url.searchParams.has('sig') ? this.#refusalOfSignature(url, incoming.method) : this.#refusalOfToken(incoming, isForKey);
    if (refusal !== undefined) {
      incoming.resume();
      const [status, code] = refusal;
      outgoing.writeHead(status, { 'x-ms-error-code': code, 'content-length': 0 }).end();
      return;
    }
    if (isForKey) void this.#giveKey(incoming, outgoing);
    else this.#pass(url, incoming, outgoing);
  }

  #refusalOfToken({ headers }: IncomingMessage, isForKey: boolean): [number, string] | undefined {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    if (!this.tokens.has(token)) return [401, 'InvalidAuthenticationInfo'];
    return isForKey || headers['x-ms-file-request-intent'] === 'backup' ? undefined : [400, 'MissingRequiredHeader'];
  }

  #refusalOfSignature(url: URL, method: string | undefined): [number, string] | undefined {
    const query = url.searchParams;
    const get = (name: string): string => query.get(name) ?? '';
    const key = this.keys.find(({ startsOn, expiresOn }) => startsOn === get('skt') && expiresOn === get('ske'));
    const path = decodeURIComponent(url.pathname).replace(`/${this.#options.account}/`, '');
    const text = [
      get('sp'), get('st'), get('se'), `/file/${this.#options.account}/${path}`, 'identity', 'tenant', get('skt'), get('ske'), 'f', VERSION,
      '', '', get('sip'), get('spr'), get('sv'), '', '', '', '', '',
    ].join('\n');
    const expected = key && createHmac('sha256', Buffer.from(key.value, 'base64')).update(text).digest('base64');
    const holds = new Date(get('se')).getTime() > Date.now() - ACCEPTED_LATENESS_MS && get('se') <= (key?.expiresOn ?? '');
    if (expected !== get('sig') || !holds || get('sr') !== 'f') return [403, 'AuthenticationFailed'];
    return get('sp') === 'r' && (method === 'GET' || method === 'HEAD') ? undefined : [403, 'AuthorizationPermissionMismatch'];
  }

  async #giveKey(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of incoming) body += String(chunk);
    if (this.refusesKeys) {
      outgoing.writeHead(403, { 'x-ms-error-code': 'AuthorizationPermissionMismatch', 'content-length': 0 }).end();
      return;
    }
    const field = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(body)?.[1] ?? '';
    const key = { startsOn: field('Start'), expiresOn: field('Expiry'), value: randomBytes(32).toString('base64') };
    this.keys.push(key);
    const fields = { SignedOid: 'identity', SignedTid: 'tenant', SignedStart: key.startsOn, SignedExpiry: key.expiresOn, SignedService: 'f', SignedVersion: VERSION, Value: key.value };
    const text = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`).join('');
    outgoing.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>${text}</UserDelegationKey>`);
  }

  #pass(url: URL, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const query = url.searchParams.has('sig') ? this.#options.openAll : [url.search.slice(1), this.#options.openAll].filter((part) => part !== '').join('&');
    const { authorization: _, ...headers } = incoming.headers;
    // A rename names the file by its URL here; behind, it has another host.
    const source = headers['x-ms-file-rename-source'];
    if (typeof source === 'string') headers['x-ms-file-rename-source'] = source.replace(this.url, `http://127.0.0.1:${this.#options.behindPort}`);
    const options = { host: '127.0.0.1', port: this.#options.behindPort, method: incoming.method!, path: `${url.pathname}?${query}`, headers, agent: false };
    const onward = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }
}
