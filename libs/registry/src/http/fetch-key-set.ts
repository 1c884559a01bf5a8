import { Agent } from 'undici';

import type { Clock } from '#clock';
import { KiB, SECOND_MS } from '#quantities';

import type { KeyText } from '../tokens/token-keys.js';
import { errorOf, readBounded, send } from './send.js';

/** How long the service that has the keys may take: a pull waits for it the first time. */
const KEY_SET_MAX_MS = 2 * SECOND_MS;
/** The longest key set that is read. */
const KEY_SET_BYTES_MAX = 256 * KiB;

/** The text of the JWK set at a URL, one request each time it is asked for. It fails with a {@link RegistryError} for every answer but 200, for one that is too long, and after two seconds. */
export function keySetAt(url: URL, clock: Clock): KeyText {
  const dispatcher = new Agent({ connections: 1, keepAliveTimeout: 1000 });
  return async () => {
    const ask = { method: 'GET', url, headers: { accept: 'application/json' }, signal: AbortSignal.timeout(KEY_SET_MAX_MS) } as const;
    const answer = await send(dispatcher, ask);
    if (answer.status !== 200) throw await errorOf(ask, answer, { missing: 'REGISTRY_UNAVAILABLE', clock });
    return (await readBounded(ask, answer, KEY_SET_BYTES_MAX)).toString();
  };
}
