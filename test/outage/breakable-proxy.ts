import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What the way to a server does: carry bytes, refuse and cut connections, or take everything and answer nothing. */
export type WayState = 'open' | 'cut' | 'silent';

/** A way over loopback to a server, which can be broken and mended while it is in use. */
export class BreakableProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket | undefined }>();
  readonly #to: { readonly host: string; readonly port: number };
  #state: WayState = 'open';

  private constructor(server: Server, to: { readonly host: string; readonly port: number }) {
    this.#server = server;
    this.#to = to;
  }

  /** Opens a way to a server on loopback, on a port of its own. */
  static async to(url: string): Promise<BreakableProxy> {
    const { hostname, port } = new URL(url);
    const server = createServer();
    const proxy = new BreakableProxy(server, { host: hostname, port: Number(port) });
    server.on('connection', (near) => proxy.#take(near));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  /** The same URL by this way. */
  by(url: string): string {
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String((this.#server.address() as AddressInfo).port);
    return through.toString().replace(/\/$/, '');
  }

  /** From now on. Cutting ends the connections that there are; silence stops them without ending them, and mending the way ends those: what was lost in it is lost. */
  set(state: WayState): void {
    const before = this.#state;
    this.#state = state;
    for (const { near, far } of this.#pairs) {
      if (state === 'silent') {
        near.unpipe();
        far?.unpipe();
        near.resume();
        far?.resume();
      } else if (state === 'cut' || before === 'silent') {
        near.destroy();
        far?.destroy();
      }
    }
  }

  #take(near: Socket): void {
    if (this.#state === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = this.#state === 'silent' ? undefined : connect(this.#to);
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far?.destroy();
    };
    for (const socket of [near, far]) {
      // Either end may be reset at any time: that is what this is for.
      socket?.on('error', end);
      socket?.on('close', end);
    }
    if (far === undefined) near.resume();
    else near.pipe(far).pipe(near);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far?.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
