/**
 * Sends lookups at a steady pace, whatever comes back: `paced-program.js PORT RATE SECONDS FILE`, where each line of the file is a whole request. Prints the times in milliseconds that
 * answers took since their request was due, as quantiles, and how many there were.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

const CONNECTIONS = 64;
const [port = 0, rate = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
const requests = readFileSync(process.argv[5] ?? '', 'utf8').split('\u0000').filter((text) => text !== '').map((text) => Buffer.from(text, 'latin1'));

const times: number[] = [];
let [sent, failed] = [0, 0];
const free: Connection[] = [];

/** One connection with at most one request under way. */
class Connection {
  readonly #socket: Socket;
  #dueAt = 0;
  #left = -1;
  #head = '';

  constructor() {
    this.#socket = connect(port, '127.0.0.1', () => free.push(this));
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (bytes) => this.#take(bytes));
    this.#socket.on('error', () => (failed += 1));
  }

  send(request: Buffer, dueAt: number): void {
    this.#dueAt = dueAt;
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#left < 0) {
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.#head.startsWith('HTTP/1.1 200')) failed += 1;
      this.#left = Number(/content-length: (\d+)/i.exec(this.#head)?.[1]) - (this.#head.length - end - 4);
      this.#head = '';
    } else this.#left -= bytes.length;
    if (this.#left > 0) return;
    this.#left = -1;
    times.push(performance.now() - this.#dueAt);
    free.push(this);
  }
}

const connections = Array.from({ length: CONNECTIONS }, () => new Connection());
await new Promise((resolve) => setTimeout(resolve, 500));
const startedAt = performance.now();
const total = rate * seconds;
await new Promise<void>((resolve) => {
  const turn = (): void => {
    const now = performance.now();
    for (; sent < total && startedAt + (sent / rate) * 1000 <= now && free.length > 0; sent += 1) free.pop()!.send(requests[sent % requests.length]!, startedAt + (sent / rate) * 1000);
    if (times.length + failed >= total || now > startedAt + (seconds + 5) * 1000) resolve();
    else setTimeout(turn, 1);
  };
  turn();
});
for (const connection of connections) connection.close();
times.sort((a, b) => a - b);
const quantile = (ratio: number): number => times[Math.min(times.length - 1, Math.floor(times.length * ratio))] ?? Number.NaN;
console.log(JSON.stringify({ count: times.length, failed, p50: quantile(0.5), p99: quantile(0.99), max: times.at(-1), perSecond: times.length / ((performance.now() - startedAt) / 1000) }));
