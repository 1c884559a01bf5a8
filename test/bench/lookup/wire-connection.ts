import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
/** Of all connections: each piece is looked at before the next one is read. */
const READ_ROOM = Buffer.alloc(64 * 1024);

/** What became of a request: how long after it was due its answer was whole, in milliseconds; or why there is none that is good. */
export type Outcome = { readonly ms: number } | { readonly failure: string };

/** A request as it goes over the wire; what is asked by HEAD is answered without a body. */
export interface WireRequest {
  readonly bytes: Buffer;
  readonly isHead: boolean;
}

/** Reads the file that `writeQuestions` wrote. */
export function requestsIn(text: string): WireRequest[] {
  return text.split('\u0000').filter((each) => each !== '').map((each) => ({ bytes: Buffer.from(each, 'latin1'), isHead: each.startsWith('HEAD ') }));
}

/** One connection to a server on this machine, with at most one request under way. One that the server has ended is opened again for the next request, as any client does. */
export class WireConnection {
  readonly #port: number;
  readonly #onOutcome: (outcome: Outcome) => void;
  #socket: Socket | undefined;
  #under: { readonly dueAt: number; readonly isHead: boolean } | undefined;
  #left = -1;
  #head = '';
  #closed = false;

  /** `onOutcome` hears of every request; the next one may then be sent. */
  constructor(port: number, onOutcome: (outcome: Outcome, connection: WireConnection) => void) {
    this.#port = port;
    this.#onOutcome = (outcome) => onOutcome(outcome, this);
    this.#socket = this.#open();
  }

  send({ bytes, isHead }: WireRequest, dueAt: number): void {
    this.#under = { dueAt, isHead };
    this.#socket ??= this.#open();
    this.#socket.write(bytes);
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #open(): Socket {
    // Read into one place again and again: making room for each piece of an answer would have this program search for garbage, and send late.
    const callback = (length: number, bytes: Uint8Array): boolean => {
      this.#take(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      return true;
    };
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread: { buffer: READ_ROOM, callback } });
    let why = 'the server ended the connection';
    socket.on('error', (error) => (why = error.message));
    socket.on('close', () => this.#ended(why));
    return socket;
  }

  #ended(why: string): void {
    if (this.#closed) return;
    [this.#left, this.#head, this.#socket] = [-1, '', undefined];
    if (this.#under !== undefined) this.#finish({ failure: why });
  }

  #take(bytes: Buffer): void {
    if (this.#left < 0) {
      // Bodies are long, and nothing is made of them: what this program does with them is not to be measured.
      const end = this.#head === '' ? bytes.indexOf(HEAD_END) : -1;
      this.#head += bytes.toString('latin1', 0, end < 0 ? bytes.length : end + HEAD_END.length);
      const headLength = this.#head.indexOf(HEAD_END) + HEAD_END.length;
      if (headLength < HEAD_END.length) return;
      const length = this.#under?.isHead === true ? 0 : Number(/content-length: (\d+)/i.exec(this.#head)?.[1]);
      const after = end < 0 ? this.#head.length - headLength : bytes.length - headLength;
      this.#left = length - after;
    } else this.#left -= bytes.length;
    if (this.#left > 0) return;
    const [head, under] = [this.#head, this.#under];
    [this.#left, this.#head] = [-1, ''];
    // What a server says unasked, such as that it waited too long for a request, is no answer; it ends the connection after it.
    if (under === undefined) return;
    this.#finish(head.startsWith('HTTP/1.1 200') ? { ms: performance.now() - under.dueAt } : { failure: head.slice(0, head.indexOf('\r\n')) });
  }

  #finish(outcome: Outcome): void {
    this.#under = undefined;
    this.#onOutcome(outcome);
  }
}
