import type { IncomingHttpHeaders } from 'node:http';

/** Headers in the form that both ends of a relay take. */
export type HeaderFields = Record<string, string | string[]>;

/** Who sent a request that is passed on, as the registry should be told. */
export interface RelayedCaller {
  /** The address of the client, behind trusted proxies. */
  readonly address: string;
  /** What the client calls this service: `registry.example.com` or `registry.example.com:8443`. */
  readonly host: string;
  readonly protocol: 'http' | 'https';
}

/** Of one connection only (RFC 9110 §7.6.1), and the credentials and challenges of proxies. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings',
]);
/** What only this service may say of where a request comes from, and `Expect`, which it has answered itself. */
const SAID_ANEW: ReadonlySet<string> = new Set(['host', 'expect', 'forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto', 'x-forwarded-prefix', 'x-real-ip']);

/**
 * The headers with which a request goes on to the registry: the client's own without those of its connection, those that its `Connection` header names, and all that it
 * claims about where it comes from. The registry is told that anew. Takes headers as Node has parsed them: of a header that may stand once, only the first.
 */
export function requestHeadersToPass(headers: IncomingHttpHeaders, caller: RelayedCaller): HeaderFields {
  const passed = withoutHops(headers, SAID_ANEW);
  return { ...passed, 'x-forwarded-for': caller.address, 'x-forwarded-host': caller.host, 'x-forwarded-proto': caller.protocol };
}

/** The headers with which an answer of the registry goes back to the client, without those of the registry's connection. */
export function answerHeadersToPass(headers: IncomingHttpHeaders): HeaderFields {
  return withoutHops(headers, new Set());
}

function withoutHops(headers: IncomingHttpHeaders, besides: ReadonlySet<string>): HeaderFields {
  const named = new Set([headers.connection ?? []].flat().join(',').split(',').map((name) => name.trim().toLowerCase()));
  const passed: HeaderFields = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_BY_HOP.has(name) || besides.has(name)) continue;
    // What a client names so may be left out, but never what tells where its body ends.
    if (named.has(name) && name !== 'content-length') continue;
    passed[name] = value;
  }
  return passed;
}
