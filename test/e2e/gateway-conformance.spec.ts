import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { REGISTRY_PROGRAM, startDebianRegistry } from './support/debian-registry.js';
import { callDistribution } from './support/distribution-calls.js';
import { freePort } from './support/free-port.js';
import { startService } from './support/start-service.js';

/** Nobody listens there: what the gateway notices, it notices by itself. */
const NOBODY = 'http://127.0.0.1:9/';

describe.skipIf(!existsSync(REGISTRY_PROGRAM))('Debian\'s docker-registry behind the gateway', () => {
  const undo = new AsyncDisposableStack();
  const urls: string[] = [];
  let gatewayUrl: string;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    for (const name of ['alone', 'behind']) {
      const port = await freePort();
      undo.defer(await startDebianRegistry({ folder: join(folder, name), port, notifyUrl: NOBODY }));
      urls.push(`http://127.0.0.1:${port}`);
    }
    const service = await startService({ folder: join(folder, 'service'), registryUrl: urls[1] ?? '' }, { overrides: { gateway: { enabled: true } } });
    undo.defer(() => service.translocator.stop());
    gatewayUrl = service.translocator.url;
  });
  afterAll(() => undo.disposeAsync());

  it('gives the same status, headers and body to every call of the distribution specification as alone', async () => {
    const alone = await callDistribution(urls[0] ?? '');
    const behind = await callDistribution(gatewayUrl);
    // Of both kinds there must be plenty, or nothing was compared.
    expect(alone.filter(({ status }) => status < 300).length).toBeGreaterThan(25);
    expect(alone.filter(({ status }) => status >= 400).length).toBeGreaterThan(20);
    for (const [place, answer] of alone.entries()) expect(behind[place]).toEqual(answer);
    expect(behind).toHaveLength(alone.length);
  });
});
