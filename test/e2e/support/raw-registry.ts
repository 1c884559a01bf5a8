import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A registry of which every byte of an answer is the test's own choice. */
export class RawRegistry implements AsyncDisposable {
  /** Heads of the requests so far, oldest first. */
  readonly seen: IncomingMessage[] = [];
  /** What answers; replaced by the test. */
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => void response.writeHead(200, { 'content-length': 0 }).end();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.seen.push(request);
      this.answer(request, response);
    });
    this.#server.requestTimeout = 0;
  }

  /** Starts it on a free port of 127.0.0.1. */
  static async start(): Promise<RawRegistry> {
    const registry = new RawRegistry();
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
