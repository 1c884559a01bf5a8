import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request on its way: it is refused, or passed on and its answer lost, cut after some bytes of its body, or changed in its headers. */
export type Fault =
  | { readonly kind: 'refuse'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | { readonly kind: 'lose-answer'; readonly onLost?: () => void }
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  | { readonly kind: 'change'; readonly headers: Readonly<Record<string, string>> };

/** A request as the front saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** An HTTP server on loopback in front of another one there, whose faults are told to it. Without any it passes everything on as it is. */
export class FaultyFront {
  /** The faults of the next requests, in their order; empty: none. */
  faults: Fault[] = [];
  /** Asked for requests that no fault in {@link faults} waits for. */
  faultOf: (seen: SeenRequest) => Fault | undefined = () => undefined;
  /** Every request since the last {@link forget}. */
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #behindPort: number;

  private constructor(behindPort: number) {
    this.#behindPort = behindPort;
    this.#server = createServer((incoming, outgoing) => this.#pass(incoming, outgoing));
  }

  /** Starts one in front of the server at `behindPort`. */
  static async start(behindPort: number): Promise<FaultyFront> {
    const front = new FaultyFront(behindPort);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  /** `http://127.0.0.1:…`, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The requests as lines: method, and the range where there is one. */
  get lines(): string[] {
    return this.seen.map(({ method, headers }) => `${method} ${String(headers['x-ms-range'] ?? '')}`.trim());
  }

  /** Forgets requests and faults. */
  forget(): void {
    this.seen.length = 0;
    this.faults = [];
    this.faultOf = () => undefined;
  }

  /** Cuts what is under way, and ends. */
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = '', url = '', headers } = incoming;
    const seen = { method, target: url, headers };
    this.seen.push(seen);
    const fault = this.faults.shift() ?? this.faultOf(seen);
    if (fault?.kind === 'refuse') {
      incoming.resume();
      outgoing.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const onward = request({ host: '127.0.0.1', port: this.#behindPort, method, path: url, headers, agent: false }, (answer) => hand(answer, outgoing, fault));
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }
}

function hand(answer: IncomingMessage, outgoing: ServerResponse, fault: Exclude<Fault, { kind: 'refuse' }> | undefined): void {
  if (fault?.kind === 'lose-answer') {
    answer.resume().on('end', () => {
      fault.onLost?.();
      outgoing.destroy();
    });
    return;
  }
  outgoing.writeHead(answer.statusCode!, { ...answer.headers, ...(fault?.kind === 'change' ? fault.headers : {}) });
  let left = fault?.kind === 'cut-answer' ? fault.afterBytes : Number.POSITIVE_INFINITY;
  answer.on('data', (chunk: Buffer) => {
    if (left <= 0) return;
    outgoing.write(chunk.subarray(0, left), () => left <= 0 && outgoing.destroy());
    left -= chunk.length;
  });
  answer.on('end', () => outgoing.end());
}
