import { connect, type Socket } from 'node:net';

/** What a server said on a connection until it closed it, or until the test had waited long enough. */
export interface Conversation {
  readonly said: string;
  /** True when the server ended the connection. */
  readonly closed: boolean;
  readonly ms: number;
}

/** How long a conversation may last, in milliseconds. */
const CONVERSATION_MAX_MS = 30_000;

/** Opens a connection to `url` that speaks whatever a test writes to it. */
export function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/**
 * Writes `bytes`, and listens until the server ends the connection; with `quietMs`, also only until it has said something and then nothing more for that long.
 * Never listens for longer than {@link CONVERSATION_MAX_MS}.
 */
export async function converse(url: string, bytes: string | Buffer, { quietMs }: { readonly quietMs?: number } = {}): Promise<Conversation> {
  const socket = await openSocket(url);
  const startedAt = performance.now();
  const said: Buffer[] = [];
  const closed = await new Promise<boolean>((resolve) => {
    let enough = setTimeout(() => resolve(false), CONVERSATION_MAX_MS);
    socket.on('data', (chunk: Buffer) => {
      said.push(chunk);
      if (quietMs === undefined) return;
      clearTimeout(enough);
      enough = setTimeout(() => resolve(false), quietMs);
    });
    // A server that refuses to read on resets the connection: that is an end as well.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(enough);
      resolve(true);
    });
    if (bytes.length > 0) socket.write(bytes);
  });
  socket.destroy();
  return { said: Buffer.concat(said).toString('latin1'), closed, ms: performance.now() - startedAt };
}

/** The statuses of all answers in what a server said. */
export function statusesIn(said: string): number[] {
  return [...said.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
}
