import { open } from 'node:fs/promises';

import type { Clock } from '#clock';
import type { Config } from '#config';
import { KiB } from '#quantities';
import { keySetAt, RegistryError, TokenKeys, TokenVerifier } from '#registry';
import type { Logger } from '#telemetry';

import type { TokenTerms } from './pull-authority.js';

/** The longest file of keys that is read. */
const KEY_FILE_BYTES_MAX = 256 * KiB;

/** How this process verifies the registry's tokens; undefined when no keys are configured. It begins to read the keys. */
export function tokenTerms({ tokens }: Config['registry'], clock: Clock, logger: Logger): TokenTerms | undefined {
  if (tokens === undefined) return undefined;
  const keys = new TokenKeys({
    sources: tokens.keys.map((source) => ('jwks' in source ? keySetAt(new URL(source.jwks), clock) : () => readKeyFile(source.file))),
    clock,
    onFailure: (error) => logger.warn({ error }, 'keys of the registry\'s tokens could not be read; the last good ones stay in use'),
  });
  // Before the first pull needs them. Failures are told to `onFailure`.
  void keys.refresh();
  const verifier = new TokenVerifier({ keys, clock, audience: tokens.service, issuer: tokens.issuer, leewayMs: tokens.clockLeeway });
  return { verifier, realm: tokens.realm, service: tokens.service };
}

async function readKeyFile(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(KEY_FILE_BYTES_MAX + 1), 0, KEY_FILE_BYTES_MAX + 1, 0);
  if (bytesRead > KEY_FILE_BYTES_MAX) throw new RegistryError('TOKEN_KEYS_INVALID', `${path} has more than ${KEY_FILE_BYTES_MAX} bytes`);
  return buffer.toString('utf8', 0, bytesRead);
}
