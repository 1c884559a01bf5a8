import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';

import { KiB, SECOND_MS } from '#quantities';

/** Bytes of a body that are on their way between the client and the registry. */
const IN_FLIGHT_BYTES_MAX = 256 * KiB;
/** How long what a client still sends is thrown away after the registry has answered, so that the client reads the answer before its connection ends. */
const DRAIN_MAX_MS = 5 * SECOND_MS;

/** Whether a request has a body, however long. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/**
 * A request's body for the way to the registry, read at the registry's pace. When the registry does not want the rest, that is read and thrown away for a while; when the client
 * goes away in the middle, the body fails, so that no registry takes a part for the whole.
 */
export function bodyToPass(request: IncomingMessage): Readable {
  const body = new PassThrough({ highWaterMark: IN_FLIGHT_BYTES_MAX });
  // Whoever reads it hears of its failure; when nobody does any more, that is nobody's failure.
  body.on('error', () => undefined);
  request.on('error', (error) => body.destroy(error));
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('the client went away within its body'));
  });
  body.once('close', () => throwAwayRest(request));
  request.pipe(body);
  return body;
}

/** Reads what a client still sends and throws it away, for {@link DRAIN_MAX_MS} at most; then the connection ends. Nothing when the request has come whole. */
export function throwAwayRest(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed || !hasBody(request)) return;
  request.unpipe();
  request.resume();
  const tooLong = setTimeout(() => request.destroy(), DRAIN_MAX_MS);
  request.once('close', () => clearTimeout(tooLong));
  request.once('end', () => clearTimeout(tooLong));
}
