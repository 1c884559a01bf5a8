import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { freePort } from './free-port.js';

/** A way to a server on loopback that can be cut and mended: everything that goes by it fails at once while it is cut. */
export class CutConnection implements AsyncDisposable {
  /** Where to connect instead of the server. */
  readonly port: number;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(target: { readonly host: string; readonly port: number }, port: number) {
    this.#target = target;
    this.port = port;
  }

  static async to(target: { readonly host: string; readonly port: number }): Promise<CutConnection> {
    // Not one that others are given while it is cut.
    const way = new CutConnection(target, await freePort());
    await way.mend();
    return way;
  }

  /** Ends every connection, and takes no new ones. */
  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  /** Takes connections again. */
  async mend(): Promise<void> {
    const server = createServer((socket) => this.#carry(socket));
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut();
  }

  #carry(socket: Socket): void {
    const onward = connect(this.#target);
    for (const [from, to] of [[socket, onward], [onward, socket]] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
