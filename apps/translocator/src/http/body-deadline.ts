import type { IncomingMessage, Server } from 'node:http';

/** Paths whose bodies may take as long as they keep coming: what is passed on to the registry. */
const UNHURRIED = /^\/v2(?:[/?]|$)/;

/**
 * Ends requests whose body has not come whole within `maxMs`, but for those to the registry: an upload of many gigabytes may take hours, and is bounded by how long it may stand
 * still. Stands in for the server's own time-out, which knows no difference between paths.
 */
export function limitBodyTime(server: Pick<Server, 'prependListener'>, maxMs: number): void {
  server.prependListener('request', (request: IncomingMessage) => {
    const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    if (!hasBody || UNHURRIED.test(request.url ?? '')) return;
    const tooLate = setTimeout(() => {
      if (!request.complete) request.destroy();
    }, maxMs);
    request.once('close', () => clearTimeout(tooLate));
  });
}
