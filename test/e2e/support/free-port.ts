import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below what Linux gives to those that name no port, and to connections: nobody is given one of these between here and who listens there. */
const PORTS = { min: 12_000, max: 32_767 };
/** Ports that are tried: all of them are taken on no machine. */
const TRIES_MAX = 100;

/** A port of loopback that nobody listens at, and nobody will unless he asks for this very one. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = randomInt(PORTS.min, PORTS.max + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`${TRIES_MAX} ports from ${PORTS.min} to ${PORTS.max} are all taken`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}
