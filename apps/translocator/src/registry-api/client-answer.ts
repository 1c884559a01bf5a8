import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';

import type { FastifyReply, FastifyRequest } from 'fastify';

import { SECOND_MS } from '#quantities';
import { type HeaderFields, type RelayedAnswer, RegistryError } from '#registry';

import { hasBody, throwAwayRest } from './request-body.js';

/** How long a connection that ends with its answer is kept for a client that still sends, so that it reads the answer. */
const LINGER_MAX_MS = 2 * SECOND_MS;
/** Statuses whose answers have no body (RFC 9110 §6.4.1). */
const BODILESS = new Set([204, 304]);

/**
 * Sends an answer of the registry on, at the pace at which the client reads it. When the registry's body is cut, the client's connection is cut as well: it must not take a
 * part for the whole. `onPart` hears of every part of the body, and the client does not wait for it. @returns false when the answer did not get through whole.
 */
export async function passAnswer(request: FastifyRequest, reply: FastifyReply, answer: { readonly relayed: RelayedAnswer; readonly headers: HeaderFields; readonly onPart?: ((part: Buffer) => void) | undefined }): Promise<boolean> {
  const { relayed, headers, onPart } = answer;
  reply.hijack();
  const response = reply.raw;
  response.writeHead(relayed.status, headers);
  if (request.method === 'HEAD' || BODILESS.has(relayed.status)) {
    response.end();
    await relayed.body.dump();
    return true;
  }
  // Node ends such a connection with the answer, and what the client still sends would then cost it the answer.
  const lingers = !response.shouldKeepAlive && hasBody(request.raw) && !request.raw.complete;
  // A second listener takes no part in the pace: the stream stops and flows as the client reads.
  if (onPart !== undefined) relayed.body.on('data', onPart);
  try {
    await pipeline(relayed.body, response, { end: !lingers });
    if (lingers) {
      await Promise.race([once(request.raw, 'end'), delay(LINGER_MAX_MS)]);
      response.end();
    }
    return true;
  } catch {
    // Whoever went first, both connections are over, and neither end can be told anything more.
    return false;
  }
}

/** Answers without a body, so that a client that knows other hosts goes on to them. */
export function answerEmpty(reply: FastifyReply, status: number): void {
  reply.hijack();
  reply.raw.writeHead(status, { 'content-length': '0' }).end();
}

/** Answers with an error as registries do; for those that ask as registries' clients. */
export function answerErrors(request: FastifyRequest, reply: FastifyReply, problem: { readonly status: number; readonly code: string; readonly message: string; readonly headers?: HeaderFields }): void {
  const text = JSON.stringify({ errors: [{ code: problem.code, message: problem.message }] });
  reply.hijack();
  reply.raw.writeHead(problem.status, { 'content-type': 'application/json', ...problem.headers, 'content-length': String(Buffer.byteLength(text)) });
  reply.raw.end(request.method === 'HEAD' ? undefined : text);
  throwAwayRest(request.raw);
}

/** Reads a small answer whole. @throws {RegistryError} `RESPONSE_TOO_LARGE` beyond `bytesMax`. */
export async function readWhole(answer: RelayedAnswer, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let seenBytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    seenBytes += chunk.length;
    if (seenBytes > bytesMax) throw new RegistryError('RESPONSE_TOO_LARGE', `the registry answered more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
