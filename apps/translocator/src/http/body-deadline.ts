import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** Paths whose bodies may take as long as they keep coming: what is passed on to the registry. */
const UNHURRIED = /^\/v2(?:[/?]|$)/;

/** What the server's own time-out answers. */
const TOO_SLOW = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/**
 * Answers requests whose body has not come whole within `maxMs` with 408 and ends them, but for those to the registry: an upload of many gigabytes may take hours, and is bounded by how long it may stand
 * still. Stands in for the server's own time-out, which knows no difference between paths.
 */
export function limitBodyTime(server: Pick<Server, 'prependListener'>, maxMs: number): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    if (hasBody && !UNHURRIED.test(request.url ?? '')) limitBody(request, response, maxMs);
  });
}

/** The same for one request, from now on. */
export function limitBody(request: IncomingMessage, response: ServerResponse, maxMs: number): void {
  const tooLate = setTimeout(() => {
    if (request.complete) return;
    // Past the framework, which still waits for the body; as the server itself answers who is too slow.
    if (response.headersSent) request.destroy();
    else request.socket.end(TOO_SLOW, () => request.destroy());
  }, maxMs);
  request.once('close', () => clearTimeout(tooLate));
}
