import { Agent, request } from 'node:http';

import type { MountAnswerBody } from '#contract';

import { TOKENS } from '../e2e/support/service-client.js';

/** Between two pulls, in milliseconds: enough of them to see a tail, few enough that they are not the load themselves. */
const PULL_EVERY_MS = 10;
/** An answer that takes longer than this, in milliseconds, is taken as none. */
const GIVE_UP_MS = 10_000;

/** A pull as it is asked for: by the client of a registry, or by a registry for its client. */
export interface AskedPull {
  readonly kind: 'mount' | 'lookup';
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
  readonly layers: readonly string[];
  readonly region: string;
  /** The header of a `mount`, made anew for each; absent: none. */
  readonly authorization?: () => string;
}

/** An answer to a pull. */
export interface PullReply {
  readonly kind: AskedPull['kind'];
  /** 0 when there was none. */
  readonly status: number;
  readonly milliseconds: number;
  readonly body: MountAnswerBody | undefined;
}

/** Asks for pulls over connections that stay open, at a steady pace, whether or not the answers come. */
export class PullLoad implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  /** Asks for these, one after the other and from the beginning again, for `ms` milliseconds. */
  async run(url: string, pulls: readonly AskedPull[], ms: number): Promise<readonly PullReply[]> {
    const asked: Promise<PullReply>[] = [];
    const beganAt = performance.now();
    for (let n = 0; performance.now() - beganAt < ms; n += 1) {
      asked.push(this.ask(url, pulls[n % pulls.length]!));
      await new Promise((resolve) => setTimeout(resolve, PULL_EVERY_MS));
    }
    return Promise.all(asked);
  }

  /** Asks once. */
  ask(url: string, pull: AskedPull): Promise<PullReply> {
    const { hostname, port } = new URL(url);
    const { path, method, headers, body } = requestOf(pull);
    const beganAt = performance.now();
    return new Promise((resolve) => {
      const end = (status: number, text = ''): void => resolve({ kind: pull.kind, status, milliseconds: performance.now() - beganAt, body: status === 200 ? (JSON.parse(text) as MountAnswerBody) : undefined });
      const sent = request({ hostname, port, path, method, headers, agent: this.#agent, signal: AbortSignal.timeout(GIVE_UP_MS) }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => end(answer.statusCode ?? 0, Buffer.concat(chunks).toString()));
        answer.on('error', () => end(0));
      });
      // No answer is an answer of status 0: whoever looks at the replies decides whether there had to be one.
      sent.on('error', () => end(0));
      sent.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function requestOf({ kind, repository, tag, manifest, layers, region, authorization }: AskedPull): { path: string; method: string; headers: Record<string, string>; body: string } {
  if (kind === 'mount') return { path: `/mount/v1/${repository}/_manifests/${tag}`, method: 'GET', headers: { 'x-teleport-region': region, ...(authorization === undefined ? {} : { authorization: authorization() }) }, body: '' };
  const body = JSON.stringify({ repository, manifest, layers, region });
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), authorization: `Bearer ${TOKENS.service}` };
  return { path: '/v1/lookup', method: 'POST', headers, body };
}
