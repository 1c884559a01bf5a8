import { type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';

import { parseAddress } from '../address.js';
import { sharedKeyText } from '../access/shared-key.js';
import { sign } from '../access/signing.js';

/** A request as a test wants it on the wire. */
export interface RawRequest {
  readonly method: string;
  /** The emulator's URL. */
  readonly url: string;
  /** Path and query exactly as sent: nothing is normalised. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** PEM of the certificate to be trusted, for an emulator's `https` URL. */
  readonly ca?: string | undefined;
  /** Signs the request by SharedKey. */
  readonly signAs?: { readonly account: string; readonly key: string };
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `x-ms-error-code`. */
  readonly code: string | undefined;
}

/** Sends a request of which every byte is the test's own choice, past any client library. */
export async function sendRaw(raw: RawRequest): Promise<RawAnswer> {
  const headers: Record<string, string> = {
    'x-ms-version': '2025-07-05',
    'x-ms-date': new Date().toUTCString(),
    ...(raw.body === undefined ? {} : { 'content-length': String(raw.body.length) }),
    ...raw.headers,
  };
  if (raw.signAs !== undefined) headers['authorization'] = `SharedKey ${raw.signAs.account}:${signatureOf(raw, headers)}`;
  const { hostname, port, protocol } = new URL(raw.url);
  const send = protocol === 'https:' ? secureRequest : request;
  return new Promise((resolve, reject) => {
    const sent = send({ hostname, port, method: raw.method, path: raw.target, headers, agent: false, ca: raw.ca }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => resolve({
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        body: Buffer.concat(chunks),
        code: answer.headers['x-ms-error-code'] as string | undefined,
      }));
    });
    sent.on('error', reject);
    sent.end(raw.body);
  });
}

function signatureOf(raw: RawRequest, headers: Readonly<Record<string, string>>): string {
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  let address;
  try {
    address = parseAddress(raw.target, { keepTrailingDots: true, host: named.get('host') });
  } catch {
    // A target that no address can be read from is refused before its signature is looked at.
    return sign(raw.target, raw.signAs!.key);
  }
  return sign(sharedKeyText({ method: raw.method, address, headers: named, remoteAddress: '', secure: false }, 'encoding-first'), raw.signAs!.key);
}
