import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Codes of the server's parser and clock whose status is not 400. */
const STATUS_OF: Readonly<Record<string, number>> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413 };
/** What a status says; of the others the parser's own reason is told. */
const DETAILS: Readonly<Record<number, string>> = {
  408: 'the request did not come whole in time',
  413: 'the chunks of the body have extensions that are too long',
};

/** What the server says of a request that is none. */
export interface UnreadableRequest {
  readonly code?: string | undefined;
  /** The parser's word for what is wrong. */
  readonly reason?: string | undefined;
}

/**
 * Answers a connection whose bytes are no request: they reach no framework. Says what was wrong, in the form of every other problem, and ends the connection: where the next request would begin is not
 * known. Nothing is said within an answer that has begun.
 */
export function refuseConnection(error: UnreadableRequest, socket: Socket, headersBytesMax: number): void {
  if (socket.destroyed) return;
  // What fails before there is a request, in the greeting of TLS for instance, has nobody to be told.
  const isTold = /^(?:HPE|ERR_HTTP)_/.test(error.code ?? '') && socket.writable && !isAnswering(socket);
  if (isTold) socket.end(answerOf(error, headersBytesMax), () => socket.destroy());
  else socket.destroy();
}

/** The answer as it goes out. */
export function answerOf({ code = '', reason }: UnreadableRequest, headersBytesMax: number): string {
  const status = STATUS_OF[code] ?? 400;
  const title = STATUS_CODES[status] ?? 'Bad Request';
  const detail = status === 431 ? `the headers of a request may have ${headersBytesMax} bytes together` : (DETAILS[status] ?? `this is no request of HTTP/1.1: ${reason ?? 'it cannot be read'}`);
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code: status === 400 ? 'REQUEST_INVALID' : 'REQUEST_UNREADABLE' });
  return `HTTP/1.1 ${status} ${title}\r\nConnection: close\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Whether an answer has begun there; Node's own way to know it. */
function isAnswering(socket: Socket): boolean {
  return (socket as { _httpMessage?: { readonly headersSent?: boolean } | null })._httpMessage?.headersSent === true;
}
