import { createHash, randomBytes } from 'node:crypto';
import { Agent, type IncomingMessage, request, type RequestOptions } from 'node:http';

import { BenchError } from '../bench.js';

/** What one registry is asked for: by itself, or through something in front of it. */
export class RegistryLoad {
  readonly #agent: Agent;
  readonly #url: URL;

  constructor(
    url: string,
    private readonly atOnce: number,
  ) {
    this.#url = new URL(url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  }

  /** Downloads a blob `count` times, some at once. @returns seconds. */
  download(digest: string, count: number): Promise<number> {
    return this.#timed(count, () => this.#call({ method: 'GET', path: `/v2/bench/app/blobs/${digest}` }, undefined, 200));
  }

  /** Downloads some blobs, each once, some at once. @returns seconds. */
  downloadEach(digests: readonly string[], headers: Readonly<Record<string, string>> = {}): Promise<number> {
    return this.#timed(digests.length, (place) => this.#call({ method: 'GET', path: `/v2/bench/app/blobs/${digests[place]}`, headers }, undefined, 200));
  }

  /** Asks `count` times whether a blob is there. @returns seconds. */
  head(digest: string, count: number): Promise<number> {
    return this.#timed(count, () => this.#call({ method: 'HEAD', path: `/v2/bench/app/blobs/${digest}` }, undefined, 200));
  }

  /** Uploads `count` blobs of other bytes each. @returns seconds, without making the bytes. */
  upload(sizeBytes: number, count: number): Promise<number> {
    const blobs = Array.from({ length: count }, () => randomBytes(sizeBytes)).map((bytes) => ({ bytes, digest: digestOf(bytes) }));
    return this.#timed(count, async (place) => {
      const { bytes, digest } = blobs[place]!;
      await this.put(bytes, digest);
    });
  }

  /** Uploads one blob. */
  async put(bytes: Buffer, digest: string): Promise<void> {
    const location = await this.#call({ method: 'POST', path: '/v2/bench/app/blobs/uploads/', headers: { 'content-length': '0' } }, undefined, 202);
    const { pathname, search } = new URL(location, this.#url);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) };
    await this.#call({ method: 'PUT', path: `${pathname}${search}&digest=${digest}`, headers }, bytes, 201);
  }

  /** Ends the connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #timed(count: number, call: (place: number) => Promise<unknown>): Promise<number> {
    let next = 0;
    const startedAt = performance.now();
    const lane = async (): Promise<void> => {
      for (let place = next++; place < count; place = next++) await call(place);
    };
    await Promise.all(Array.from({ length: this.atOnce }, lane));
    return (performance.now() - startedAt) / 1000;
  }

  #call(options: RequestOptions, body: Buffer | undefined, expected: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#url;
      const sent = request({ hostname, port, agent: this.#agent, ...options }, (answer: IncomingMessage) => {
        if (answer.statusCode !== expected) reject(new BenchError(`${options.method} ${options.path} answered ${answer.statusCode}`));
        answer.once('error', reject).once('end', () => resolve(answer.headers.location ?? '')).resume();
      });
      sent.once('error', reject).end(body);
    });
  }
}

/** `sha256:…` of some bytes. */
export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
