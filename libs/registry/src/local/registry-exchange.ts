import type { IncomingMessage, ServerResponse } from 'node:http';

/** What part of a registry a request is for. */
export type RegistryPart = 'manifests' | 'blobs' | 'uploads' | 'tags' | 'base' | 'token';

/** One request to a {@link LocalRegistry} and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  readonly part: RegistryPart;
  /** Empty for `base` and `token`. */
  readonly repository: string;
  /** A tag or digest, the id of an upload, or empty. */
  readonly target: string;
}

const ROUTES: readonly (readonly [RegExp, RegistryPart])[] = [
  [/^\/v2\/(?<repository>.+)\/manifests\/(?<target>[^/]+)$/, 'manifests'],
  [/^\/v2\/(?<repository>.+)\/blobs\/uploads\/(?<target>[^/]*)$/, 'uploads'],
  [/^\/v2\/(?<repository>.+)\/blobs\/(?<target>[^/]+)$/, 'blobs'],
  [/^\/v2\/(?<repository>.+)\/tags\/list(?<target>)$/, 'tags'],
  [/^\/v2\/?$/, 'base'],
  [/^\/token$/, 'token'],
];

/** Finds out what a request is for; undefined when it is for nothing that exists. */
export function routeOf(request: IncomingMessage, response: ServerResponse): Exchange | undefined {
  const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
  for (const [pattern, part] of ROUTES) {
    const match = pattern.exec(url.pathname);
    if (match === null) continue;
    const { repository = '', target = '' } = match.groups ?? {};
    return { request, response, method: request.method ?? 'GET', url, part, repository, target: decodeURIComponent(target) };
  }
  return undefined;
}

/** Answers with headers alone. */
export function answer(exchange: Exchange, status: number, headers: Record<string, string | number> = {}): void {
  exchange.response.writeHead(status, { 'content-length': 0, ...headers }).end();
}

/** Answers with JSON. */
export function answerJson(exchange: Exchange, body: unknown, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(body);
  exchange.response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers }).end(text);
}

/** Answers with an error body as the distribution specification has it. */
export function refuse(exchange: Exchange, status: number, code: string, headers: Record<string, string | number> = {}): void {
  const text = JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' '), detail: null }] });
  exchange.response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  exchange.response.end(exchange.method === 'HEAD' ? undefined : text);
}
